// The steps: `show(number)` updates the whole page. What the page shows depends only on
// the number of the step.

const start = steps.findIndex(({ kind }) => kind === "start");
let current = -1;  // the number of the shown step

function show(number) {
  number = Math.min(Math.max(number, 0), last);
  if (number === current) return;
  current = number;
  const step = steps[number];
  const pass = number < start ? "forward" : "backward";
  document.body.dataset.pass = pass;
  for (const node of model.nodes) update(node, number);
  light(step);
  $("#count").textContent = `Step ${number + 1} of ${steps.length}`;
  $("#sentence").textContent = step.sentence;
  $("#formulas").replaceChildren(...step.formulas.map((text) => h("p", {}, code(text))));
  $("#figures").replaceChildren(...step.figures.flatMap(
    ({ title, array, sign }) => [
      ...(sign === "+" ? [h("div", { class: "line-end" })] : []),
      figure(title, array, PANEL, sign),
    ]));
  const scrubber = $("#scrubber");
  scrubber.value = number;
  scrubber.setAttribute(
    "aria-valuetext", `step ${number + 1} of ${steps.length}, ${pass} pass`);
  $("#first").disabled = $("#back").disabled = number === 0;
  $("#last").disabled = $("#forward").disabled = number === last;
}
