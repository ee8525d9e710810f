// Change a leaf, or take a step: the page computes all its numbers anew, and shows the
// change of the loss beside the gradient times the change of the leaves.

const program = without ? null : new Program(model.program);
let now = null;  // what is in all slots of the program; null: what was recorded
let base = null;  // what was in them before the change
let recorded = null;  // what was in them at first
let stepsTaken = 0;

const valuesOf = (slots) => slots.slice(0, program.leaves.length);

// Compute all numbers of the page for other leaves, and show them.
function compute(values) {
  now = program.run(values);
  layOut(now);
  refresh();
  showEffect();
}

// Replace the arrays of the page by the values in the slots.
function layOut(slots) {
  for (const [number, slot] of program.shown) {
    decoded.set(number, laidOut(program.shapes[slot], slots[slot]));
  }
}

// Compute what was recorded, before something is changed.
function prepare() {
  recorded ??= program.run(program.given);
}

function compareFromHere() {
  prepare();
  base = now ??= recorded;
}

// Set one element of a leaf. Several changes in a row count as one.
function poke(slot, place, value) {
  if (!base || stepsTaken) compareFromHere();
  stepsTaken = 0;
  const values = valuesOf(now).map((array) => array.slice());
  values[slot][place] = value;
  compute(values);
}

// Take a step: each leaf minus the learning rate times its gradient.
function descend(rate) {
  compareFromHere();
  stepsTaken += 1;
  compute(valuesOf(now).map((array, slot) => {
    const gradient = now[program.leaves[slot].gradient];
    return gradient ? array.map((value, i) => value - rate * gradient[i]) : array;
  }));
  showCells();
}

// Go back to what was recorded.
function restore() {
  now = base = null;
  stepsTaken = 0;
  layOut(recorded);
  refresh();
  showEffect();
  showCells();
}

// --- The effect ------------------------------------------------------------------------

const signed = (number) => (number > 0 ? "+" : "") + format(number);

// The elements that have changed, with their gradients before.
function changes() {
  return program.leaves.flatMap(({ gradient }, slot) =>
    Array.from(now[slot], (value, place) => (
      { slot, place, change: value - base[slot][place], slope: base[gradient]?.[place] }
    )).filter(({ change }) => change));
}

function showEffect() {
  const effect = now === base ? [] : effectTexts();
  $("#effect").hidden = !effect.length;
  $("#effect div").replaceChildren(...effect.map((text) => h("p", {}, text)));
}

function effectTexts() {
  const [before, after] = [base, now].map((slots) => slots[program.loss][0]);
  const fields = {
    y: model.name, before: format(before), after: format(after),
    change: signed(after - before), n: stepsTaken,
  };
  const texts = [
    stepsTaken > 1
      ? _("{y}: {before} \u2192 {after}, a change of {change} after {n} steps", fields)
      : _("{y}: {before} \u2192 {after}, a change of {change}", fields),
    slopeText(changes()),
  ];
  if (program.choices.some((slot) => now[slot].some((x, i) => x !== recorded[slot][i]))) {
    texts.push(_("A condition has another answer now than in the recorded graph: some " +
      "formulas of the steps may not hold here."));
  }
  return texts;
}

// Multiply the changes by the gradients: that is what the loss should change by.
function slopeText(all) {
  const constant = all.find(({ slope }) => slope === undefined);
  if (constant) {
    const { name } = program.leaves[constant.slot];
    return _("{name} is a constant: the backward pass finds no gradient for it", { name });
  }
  const total = all.reduce((sum, { change, slope }) => sum + change * slope, 0);
  if (all.length !== 1) {
    return _("gradient \u00d7 change, added up over {n} numbers: {total}",
      { n: all.length, total: signed(total) });
  }
  const [{ slot, place, change, slope }] = all;
  const name = nameAt(slot, place);
  return _("{slope} \u00d7 change of {name} = {product} = {total}", {
    slope: `d${model.name}/d${name}`, name, total: signed(total),
    product: `${format(slope)} \u00d7 ${format(change)}`,
  });
}

// --- The leaves ------------------------------------------------------------------------

const MOST_CELLS = { rows: 8, columns: 6 };
let held = {};  // the element that the slider moves

const leafAt = (slot) => laidOut(program.shapes[slot], (now ?? program.given)[slot]);
const plain = (number) => String(Number(number.toPrecision(4)));

function nameAt(slot, place) {
  return program.leaves[slot].name + indexText(indexOf(leafAt(slot), place));
}

// Show a field for each element of the chosen leaf; of a large one, for a chosen element.
function showCells() {
  const slot = Number($("#leaf").value);
  const { rows, columns } = leafAt(slot);
  const isSmall = rows <= MOST_CELLS.rows && columns <= MOST_CELLS.columns;
  $("#cells").replaceChildren(isSmall ? grid(slot, rows, columns) : finder(slot));
  hold(slot, held.slot === slot ? held.place : 0);
}

function grid(slot, rows, columns) {
  const body = h("tbody");
  for (let row = 0; row < rows; row++) {
    const line = h("tr");
    for (let column = 0; column < columns; column++) {
      line.append(h("td", {}, field(slot, row * columns + column)));
    }
    body.append(line);
  }
  return h("table", {}, body);
}

function finder(slot) {
  const shape = program.shapes[slot];
  const cell = h("span", {}, field(slot, 0));
  const indices = shape.map((length, axis) => h("input", {
    type: "number", min: 0, max: length - 1, value: 0,
    "aria-label": _("index along axis {axis}", { axis }),
  }));
  for (const input of indices) {
    input.addEventListener("input", () => {
      if (!indices.every((each) => each.value && each.validity.valid)) return;
      const place = placeOf({ shape }, indices.map((each) => each.valueAsNumber));
      cell.replaceChildren(field(slot, place));
      hold(slot, place);
    });
  }
  return h("p", {}, "[ ", ...indices, " ] = ", cell);
}

function field(slot, place) {
  const input = h("input", {
    type: "number", step: "any", "data-place": place, "aria-label": nameAt(slot, place),
    value: plain(leafAt(slot).numbers[place]),
  });
  input.addEventListener("focus", () => hold(slot, place));
  input.addEventListener("input", () => {
    if (Number.isFinite(input.valueAsNumber)) poke(slot, place, input.valueAsNumber);
    hold(slot, place);
  });
  return input;
}

// Let the slider move an element.
function hold(slot, place) {
  const slider = $("#slider");
  const value = leafAt(slot).numbers[place];
  if (held.slot !== slot || held.place !== place) {
    held = { slot, place };
    const reach = Math.max(1, 2 * Math.abs(value));
    Object.assign(slider, { min: value - reach, max: value + reach });
    $("#held").textContent = nameAt(slot, place);
    slider.setAttribute("aria-label", nameAt(slot, place));
  }
  slider.value = value;
}

// A button, in the details of a leaf, that leads to its numbers.
function changeButton(node) {
  const slot = program?.lines.slice(0, program.leaves.length).indexOf(node.value) ?? -1;
  if (slot < 0) return [];
  const button = h("button", { type: "button" }, _("Change a number"));
  button.addEventListener("click", () => {
    details.close();
    openLeaves(true);
    $("#leaf").value = slot;
    showCells();
    $("#cells input").focus();
  });
  return [button];
}

// --- The controls ----------------------------------------------------------------------

function openLeaves(isOpen) {
  $("#leaves").hidden = !isOpen;
  $("#poke").setAttribute("aria-pressed", isOpen);
  if (!isOpen) return;
  $("#try").scrollIntoView({ block: "nearest" });
  if (program) setTimeout(prepare);  // so the first change is as fast as the next
}

$("#poke").addEventListener("click", () => openLeaves($("#leaves").hidden));

if (without) {
  $("#leaves").replaceChildren(
    h("p", {}, _("The numbers of this page cannot be changed: {why}.", { why: without })));
  $("#descend").parentElement.remove();
} else {
  program.leaves.forEach(({ name }, slot) => {
    $("#leaf").append(h("option", { value: slot }, name));
  });
  $("#leaf").addEventListener("change", showCells);
  $("#slider").addEventListener("input", () => {
    const { slot, place } = held;
    poke(slot, place, $("#slider").valueAsNumber);
    const cell = $(`#cells [data-place="${place}"]`);
    cell.value = plain(leafAt(slot).numbers[place]);
  });
  $("#descend").addEventListener("submit", (event) => {
    event.preventDefault();
    descend($("#rate").valueAsNumber);
  });
  $("#restore").addEventListener("click", restore);
  if (model.arrays.some(({ data }) => data === null)) {  // the program has to fill them
    prepare();
    layOut(recorded);
  }
  showCells();
}
