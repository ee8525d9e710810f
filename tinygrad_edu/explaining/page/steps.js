// The steps: `show(number)` updates the whole page. What the page shows depends only on
// the number of the step, and on whether its question has been answered.

const start = steps.findIndex(({ kind }) => kind === "start");
let current = -1;  // the number of the shown step

function show(number) {
  number = Math.min(Math.max(number, 0), last);
  if (number === current) return;
  current = number;
  redraw();
  remember();
}

// Show the step anew, after numbers or colours have changed.
function refresh() {
  pictures.clear();
  for (const box of boxes.values()) delete box.dataset.state;
  redraw();
}

function redraw() {
  const step = steps[current];
  const pass = current < start ? "forward" : "backward";
  const question = questionAt(current);
  document.body.dataset.pass = pass;
  document.body.dataset.kind = step.kind;
  for (const node of model.nodes) update(node, question ? current - 1 : current);
  updateEdges(question ? current - 1 : current);
  light(step);
  $("#count").textContent = `Step ${current + 1} of ${steps.length}`;
  $("#sentence").replaceChildren(...withMeanings(step.sentence, step));
  $("#warning").hidden = !step.warning;
  $("#warning").textContent = step.warning ?? "";
  $("#formulas").replaceChildren(...step.formulas.map((text) => h("p", {}, code(text))));
  $("#card").hidden = $("#hint").hidden = step.kind !== "given";
  showEquations(step, Boolean(question));
  const scrubber = $("#scrubber");
  scrubber.value = current;
  scrubber.setAttribute(
    "aria-valuetext", `step ${current + 1} of ${steps.length}, ${pass} pass`);
  $("#first").disabled = $("#back").disabled = current === 0;
  $("#last").disabled = $("#forward").disabled = current === last;
  showTab(pass);
  ask(question);
}
