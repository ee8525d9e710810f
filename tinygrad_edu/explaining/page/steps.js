// The steps: `show(number)` updates the whole page. What the page shows depends only on
// the number of the step, on whether folds are open, and on whether the step's question
// has been answered.

let stops = listStops();
let current = -1;  // the number of the shown step

function show(number) {
  number = Math.min(Math.max(number, 0), last);
  if (number === current) return;
  if (!stops.includes(number)) return openFolds(true, number);
  current = number;
  redraw();
  remember();
}

// Go some stops forward, or back.
function showNext(by) {
  const at = Math.min(Math.max(stops.indexOf(current) + by, 0), stops.length - 1);
  show(stops[at]);
}

// Open or close the folds, and go to a step.
function openFolds(open, number = current) {
  const at = foldAt(number);
  if (at && !open) number = at.range[1];
  else if (at && number === current) number = at.range[0];
  isOpen = open;
  stops = listStops();
  showPicture();
  current = -1;
  show(number);
}

// Show the step anew, after numbers or colours have changed.
function refresh() {
  pictures.clear();
  picture.forget();
  redraw();
}

function redraw() {
  const step = stepAt(current);
  const pass = passOf(current);
  const question = questionAt(current);
  const known = question ? current - 1 : current;
  document.body.dataset.pass = pass;
  document.body.dataset.kind = step.kind;
  arrange(current);
  for (const [key, box] of picture.boxes) if (!isMore(box)) update(key, box, known);
  updateEdges(known);
  light(step);
  const place = { n: current + 1, of: steps.length, first: step.range && step.range[0] + 1 };
  $("#count").textContent = step.range
    ? _("Steps {first} to {n} of {of}", place) : _("Step {n} of {of}", place);
  $("#sentence").replaceChildren(...withMeanings(step.sentence, step));
  $("#enter").hidden = !step.range;
  $("#fold").setAttribute("aria-pressed", isOpen);
  $("#warning").hidden = !step.warning;
  $("#warning").textContent = step.warning ?? "";
  $("#formula").textContent = typeset(step.formula);
  $("#card").hidden = $("#hint").hidden = step.kind !== "given";
  showEquations(step, Boolean(question));
  const scrubber = $("#scrubber");
  scrubber.max = stops.length - 1;
  scrubber.value = stops.indexOf(current);
  $("#track").style.setProperty("--start", stops.indexOf(start) / (stops.length - 1));
  scrubber.setAttribute("aria-valuetext", pass === "forward"
    ? _("step {n} of {of}, forward pass", place)
    : _("step {n} of {of}, backward pass", place));
  $("#first").disabled = $("#back").disabled = current === 0;
  $("#last").disabled = $("#forward").disabled = current === last;
  showTab(pass);
  ask(question);
}
