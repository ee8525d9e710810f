// The step in the address: #step=12 leads to it, and survives a reload.

let remembering = null;

// Write the step into the address, when it has been shown for a moment: browsers do not
// like addresses that change with each frame.
function remember() {
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    if (location.protocol === "about:") return;  // a page within a notebook
    history.replaceState(null, "", `#step=${current + 1}`);
  }, 300);
}

function stepInAddress() {
  const [, number] = location.hash.match(/^#step=(\d+)$/) ?? [];
  return number ? Number(number) - 1 : 0;
}

addEventListener("hashchange", () => show(stepInAddress()));
addEventListener("pagehide", () => {
  if (location.protocol !== "about:") history.replaceState(null, "", `#step=${current + 1}`);
});
