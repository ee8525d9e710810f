// Start at the first step.

// Say on the first card what this graph is about.
const { name: end } = model.nodes.find(({ kind }) => kind === "result") ?? model.nodes[0];
for (const place of document.querySelectorAll("#card .end")) place.textContent = end;

$("#scrubber").max = last;
$("#track").style.setProperty("--start", start / last);
const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
begin(1.1 * rem / 16);
show(stepInAddress());
