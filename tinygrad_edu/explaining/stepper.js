"use strict";
// Shows the model that `stepper.py` wrote into the page. The content depends only on the
// number of the step: `show(number)` updates the whole page.

const $ = (selector) => document.querySelector(selector);
const model = JSON.parse($("#model").textContent);
const { steps } = model;
const last = steps.length - 1;

// Make an element: h("p", { class: "hint" }, "text", child, ...).
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// --- Arrays --------------------------------------------------------------------------

const decoded = new Map();

// Return an array by its number, as rows and columns (some may be left out).
function arrayOf(number) {
  if (!decoded.has(number)) decoded.set(number, decode(model.arrays[number]));
  return decoded.get(number);
}

function decode({ shape, steps: [down, across], type, data }) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const numbers = new (type === "f4" ? Float32Array : Float64Array)(bytes.buffer);
  const width = shape.length ? shape[shape.length - 1] : 1;
  const columns = Math.ceil(width / across);
  const rows = columns ? numbers.length / columns : 0;
  const largest = numbers.reduce(
    (most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 0);
  return { shape, down, across, numbers, rows, columns, largest };
}

// The index of an element in the user's array: "[3, 17]".
function indexOf(array, row, column) {
  const index = array.shape.length ? [column * array.across] : [];
  let rest = row * array.down;
  for (const length of array.shape.slice(0, -1).reverse()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return `[${index.join(", ")}]`;
}

function format(number, digits = 4) {
  const size = Math.abs(number);
  const isShort = Number.isInteger(number) && size < 1e6;
  const text = isShort ? String(number)
    : size < 1e-4 ? number.toExponential(digits - 1) : number.toPrecision(digits);
  return text.replaceAll("-", "\u2212");
}

// A formula in print: "W2^T" with a raised T.
function typeset(formula) {
  const raised = { "^T": "\u1d40", "^2": "\u00b2", "^3": "\u00b3" };
  return formula
    .replace(/\^[T23](?!\w)/g, (power) => raised[power])
    .replaceAll("-", "\u2212");
}

const code = (formula) => h("code", {}, typeset(formula));
const shapeText = (shape) => (shape.length ? shape.join(" \u00d7 ") : "a number");

// Describe an array in one line.
function summary({ numbers, shape }) {
  if (numbers.length === 1) return format(numbers[0]);
  if (!numbers.length) return shapeText(shape);
  const [low, high] = [Math.min, Math.max].map((f) => numbers.reduce((a, b) => f(a, b)));
  return `${shapeText(shape)}, ${format(low)} to ${format(high)}`;
}

// --- Figures: arrays as tables, or as heat maps ----------------------------------------

// How many rows and columns a table may have, and how large, in rem, a heat map is.
const PANEL = { rows: 8, columns: 6, width: 22, height: 10 };
const DETAILS = { rows: 16, columns: 10, width: 56, height: 26 };

function figure(title, number, room, sign = "") {
  const array = arrayOf(number);
  const isSmall = array.rows <= room.rows && array.columns <= room.columns;
  const isWhole = array.down === 1 && array.across === 1;
  return h("figure", {},
    h("figcaption", {}, h("span", { class: "sign" }, sign && `${sign} `), title),
    !array.numbers.length ? h("code", {}, "[]")
      : isSmall && isWhole ? table(array) : heatMap(array, room));
}

// Colour a cell: blue below 0, orange above; a larger number has a stronger colour.
function tint(cell, number, largest) {
  if (!Number.isFinite(number)) cell.className = "broken";
  else if (number) cell.className = number < 0 ? "negative" : "positive";
  cell.style.setProperty("--share", Math.abs(number / largest) || 0);
}

function table(array) {
  const body = h("tbody");
  for (let row = 0; row < array.rows; row++) {
    const line = h("tr");
    for (let column = 0; column < array.columns; column++) {
      const number = array.numbers[row * array.columns + column];
      const title = `${indexOf(array, row, column)} = ${format(number, 7)}`;
      const cell = h("td", { title }, format(number));
      if (array.numbers.length > 1) tint(cell, number, array.largest);
      line.append(cell);
    }
    body.append(line);
  }
  return h("table", { class: "numbers" }, body);
}

// A canvas with a pixel for each element; pointer and arrow keys show the numbers.
function heatMap(array, room) {
  const { rows, columns, numbers } = array;
  const across = Math.min(room.width / columns, 1.2);
  const down = Math.min(room.height / rows, 1.2);
  const width = columns * Math.min(across, down * 5);  // cells are not too wide
  const height = rows * Math.min(down, across * 5);
  const label = `Heat map, ${shapeText(array.shape)}. Arrow keys show the numbers.`;
  const canvas = h("canvas", {
    width: columns, height: rows, tabindex: 0, role: "img", "aria-label": label,
  });
  const cursor = h("div", { class: "cursor", hidden: "" });
  const readout = h("output", { "aria-live": "polite" }, "\u00a0");
  const frame = h("div", { class: "map" }, canvas, cursor);
  frame.style.width = `${width}rem`;
  frame.style.aspectRatio = `${width} / ${height}`;
  paint(canvas, array);

  let at = [0, 0];
  function point(row, column) {
    at = [Math.min(Math.max(row, 0), rows - 1), Math.min(Math.max(column, 0), columns - 1)];
    const number = numbers[at[0] * columns + at[1]];
    readout.textContent = `${indexOf(array, ...at)} = ${format(number, 7)}`;
    cursor.hidden = false;
    cursor.style.left = `${(at[1] / columns) * 100}%`;
    cursor.style.top = `${(at[0] / rows) * 100}%`;
    cursor.style.width = `${100 / columns}%`;
    cursor.style.height = `${100 / rows}%`;
  }
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    point(
      Math.floor(((event.clientY - box.top) / box.height) * rows),
      Math.floor(((event.clientX - box.left) / box.width) * columns));
  });
  canvas.addEventListener("focus", () => point(...at));
  canvas.addEventListener("keydown", (event) => {
    const move = {
      ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    }[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    point(at[0] + move[0], at[1] + move[1]);
  });
  return h("div", { class: "heat" }, frame, legend(array), readout);
}

function legend({ largest, down, across }) {
  const parts = [
    h("span", {}, format(-largest)), h("span", { class: "scale" }),
    h("span", {}, format(largest)),
  ];
  const shown = [];
  if (down > 1) shown.push(`one row in ${down}`);
  if (across > 1) shown.push(`one column in ${across}`);
  if (shown.length) parts.push(h("small", {}, `shown: ${shown.join(", ")}`));
  return h("div", { class: "legend" }, ...parts);
}

function paint(canvas, { rows, columns, numbers, largest }) {
  if (!numbers.length) return;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).split(" ").map(Number);
  const [negative, zero, positive, broken] =
    ["--negative", "--zero", "--positive", "--broken"].map(colour);
  const image = new ImageData(columns, rows);
  numbers.forEach((number, i) => {
    const share = largest ? Math.abs(number) / largest : 0;
    const end = number < 0 ? negative : positive;
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = Number.isFinite(number)
        ? zero[c] + (end[c] - zero[c]) * share : broken[c];
    }
    image.data[4 * i + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// --- The picture -----------------------------------------------------------------------

const svg = $("#picture svg");
const boxes = new Map();  // the boxes of values in the picture, by key
const ops = new Map();  // the boxes of the ops that computed them, by key
const edges = new Map();  // the edges, by "from-to"

svg.setAttribute("role", "group");
for (const box of svg.querySelectorAll(".node.data[data-node]")) {
  boxes.set(Number(box.dataset.node), box);
}
for (const op of svg.querySelectorAll(".node.op[data-node]")) {
  ops.set(Number(op.dataset.node), op);
}
for (const edge of svg.querySelectorAll(".edge")) {
  const ends = `${edge.dataset.from}-${edge.dataset.to}`;
  edges.set(ends, [...(edges.get(ends) ?? []), edge]);
}

// For each node: the step that computes it, and the steps that change its gradient.
const bornAt = new Map();
const gradients = new Map(model.nodes.map(({ key }) => [key, []]));
steps.forEach((step, number) => {
  if (step.kind === "compute") bornAt.set(step.node, number);
  if (step.gradient) {
    gradients.get(step.to ?? step.node)?.push({ number, ...step.gradient });
  }
});

for (const node of model.nodes) {
  const box = boxes.get(node.key);
  box.setAttribute("tabindex", 0);
  box.setAttribute("role", "button");
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    openDetails(node);
  });
  for (const element of [box, ops.get(node.key)]) {
    element?.addEventListener("click", () => openDetails(node));
  }
}

// Show a node's box as it is at a step.
function update(node, number) {
  const box = boxes.get(node.key);
  const isKnown = (bornAt.get(node.key) ?? 0) <= number;
  const gradient = gradients.get(node.key).findLast((event) => event.number <= number);
  const state = `${isKnown} ${gradient?.number}`;
  if (box.dataset.state === state) return;
  box.dataset.state = state;
  box.classList.toggle("pending", !isKnown);
  box.classList.toggle("graded", Boolean(gradient));
  box.classList.toggle("incomplete", gradient?.complete === false);
  // Without a gradient yet, keep the old text: it is hidden, but takes up its space.
  box.querySelectorAll(".gradient .numbers tspan").forEach((line, i) => {
    if (gradient) line.textContent = gradient.lines[i];
  });
  const parts = [node.name, node.formula ?? node.kind];
  if (isKnown) parts.push(`value ${summary(arrayOf(node.value))}`);
  if (gradient) {
    const soFar = gradient.complete ? "" : " so far";
    parts.push(`gradient ${summary(arrayOf(gradient.array))}${soFar}`);
  }
  box.setAttribute("aria-label", parts.join(", "));
}

let lit = [];

// Highlight what the step is about.
function light(step) {
  for (const element of lit) element.classList.remove("active", "other", "flowing");
  lit = [];
  const add = (element, name) => {
    element?.classList.add(name);
    if (element) lit.push(element);
  };
  add(boxes.get(step.node), "active");
  if (step.kind !== "start") add(ops.get(step.node), "active");
  const others = step.inputs ?? (step.to === undefined ? [] : [step.to]);
  for (const other of others) {
    add(boxes.get(other), "other");
    const parallel = edges.get(`${other}-${step.node}`) ?? [];
    const taken = step.edge === undefined ? parallel : [parallel[step.edge]];
    for (const edge of taken) add(edge, "flowing");
  }
  reveal(step);
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");

// Scroll the graph, and only the graph, to show what is highlighted: first the node that
// gets its value or gradient, then as much of the rest as there is room for.
function reveal(step) {
  if (!lit.length) return;
  const target = step.to ?? step.node;
  const most = [boxes.get(target), step.to === undefined && ops.get(target)];
  const frame = $("#picture");
  const outer = frame.getBoundingClientRect();
  const move = (low, high, length) => {
    const [all, needed] = [lit, most].map((elements) => {
      const areas = elements.filter(Boolean).map((e) => e.getBoundingClientRect());
      return [
        Math.min(...areas.map((area) => area[low])) - outer[low] - EDGE,
        Math.max(...areas.map((area) => area[high])) - outer[low] - length + EDGE,
      ];
    });
    if (all[0] >= 0 && all[1] <= 0) return 0;
    const centred = (all[0] + all[1]) / 2;
    return Math.min(Math.max(centred, needed[1]), needed[0]);
  };
  frame.scrollBy({
    left: move("left", "right", frame.clientWidth),
    top: move("top", "bottom", frame.clientHeight),
    behavior: calm.matches ? "instant" : "smooth",
  });
}

const EDGE = 4;  // px to show around a node
const READABLE = 0.85;  // the smallest zoom at which text of 11 px can be read
const natural = svg.viewBox.baseVal;
let scale = 1;
let current = -1;  // the number of the shown step

function zoom(to) {
  scale = Math.min(to, 4);
  svg.setAttribute("width", natural.width * scale);
  svg.setAttribute("height", natural.height * scale);
  if (current >= 0) reveal(steps[current]);
}

// The largest zoom that shows the graph's full width (across), or the whole graph.
function sizes() {
  const frame = $("#picture");
  const { paddingLeft, paddingTop, paddingBottom } = getComputedStyle(frame);
  const across = (frame.clientWidth - 2 * parseFloat(paddingLeft)) / natural.width;
  const room = frame.clientHeight - parseFloat(paddingTop) - parseFloat(paddingBottom);
  return { across, whole: Math.min(across, room / natural.height, 2.2) };
}

// Show the whole graph.
const fit = () => zoom(sizes().whole);

// Begin with a readable part of the graph; the steps scroll to the rest.
function begin(comfortable) {
  const { across, whole } = sizes();
  zoom(Math.max(whole, Math.min(across, comfortable), READABLE));
}

// --- Steps -----------------------------------------------------------------------------

const start = steps.findIndex(({ kind }) => kind === "start");

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

// --- Details of a node -----------------------------------------------------------------

const details = $("#details");

function openDetails(node) {
  play(false);
  const facts = h("dl");
  const fact = (term, ...text) => facts.append(h("dt", {}, term), h("dd", {}, ...text));
  if (node.formula) fact("computed", code(node.formula));
  else fact("is", node.kind);
  if (node.about) fact(node.op, node.about);
  if (node.rules) fact("passes back", ...node.rules.map(code));
  fact("shape", `${shapeText(node.shape)}, ${node.dtype}`);
  if (node.source) {
    const { file, line, text } = node.source;
    fact("your line", h("code", {}, text), h("small", {}, `${file}, line ${line}`));
  } else if (node.op) {
    fact("your line", "recorded only in a block ", h("code", {}, "with tg.debug():"));
  }
  const figures = h("div", { class: "figures" }, figure("value", node.value, DETAILS));
  if (node.gradient !== undefined) {
    figures.append(figure("gradient", node.gradient, DETAILS));
  }
  $("#details-title").textContent = node.name;
  $("#details-body").replaceChildren(facts, figures);
  details.showModal();
}

$("#close").addEventListener("click", () => details.close());
details.addEventListener("click", (event) => {
  if (event.target === details) details.close();  // a click outside the dialog
});

// --- Controls --------------------------------------------------------------------------

let timer = null;

function play(on) {
  clearTimeout(timer);
  timer = null;
  document.body.classList.toggle("playing", on);
  $("#play").setAttribute("aria-label", on ? "Pause" : "Play");
  if (!on) return;
  timer = setTimeout(() => {
    show(current + 1);
    play(current < last);
  }, Number($("#speed select").value));
}

function togglePlay() {
  if (timer === null && current === last) show(0);
  play(timer === null);
}

function go(number) {
  play(false);
  show(number);
}

const keys = {
  ArrowLeft: () => go(current - 1),
  ArrowRight: () => go(current + 1),
  Home: () => go(0),
  End: () => go(last),
  " ": togglePlay,
};

document.addEventListener("keydown", (event) => {
  const action = keys[event.key];
  const isPlain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
  const hasOwnKeys = event.target.matches("select, input") ||
    (event.key === " " && event.target.matches("button"));
  if (!action || !isPlain || hasOwnKeys || details.open) return;
  event.preventDefault();
  action();
});

$("#first").addEventListener("click", () => go(0));
$("#back").addEventListener("click", () => go(current - 1));
$("#play").addEventListener("click", togglePlay);
$("#forward").addEventListener("click", () => go(current + 1));
$("#last").addEventListener("click", () => go(last));
$("#scrubber").addEventListener("input", (event) => go(Number(event.target.value)));
$("#scrubber").addEventListener("keydown", (event) => {
  if (event.key !== " ") return;
  event.preventDefault();
  togglePlay();
});
$("#smaller").addEventListener("click", () => zoom(Math.max(scale / 1.25, sizes().whole / 2)));
$("#larger").addEventListener("click", () => zoom(scale * 1.25));
$("#fit").addEventListener("click", fit);

// --- Printing, and colours -------------------------------------------------------------

// A row for each step: its sentence, and the numbers it leads to.
function fillPrintedTable() {
  if ($("#printed tbody").children.length) return;
  $("#printed tbody").append(...steps.map((step, number) => {
    const isList = step.kind === "given" || step.kind === "done";
    const results = isList ? step.figures : step.figures.slice(-1);
    return h("tr", {},
      h("td", {}, String(number + 1)),
      h("td", {}, step.sentence, ...step.formulas.map(code)),
      h("td", {}, ...results.map(({ title, array }) => result(title, arrayOf(array)))));
  }));
}

function result(title, array) {
  const isSmall = array.rows <= 4 && array.columns <= 4;
  return h("figure", {},
    h("figcaption", {}, title), isSmall ? table(array) : summary(array));
}

let before = 0;
addEventListener("beforeprint", () => {
  before = current;
  show(last);
  fillPrintedTable();
});
addEventListener("afterprint", () => show(before));

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  const number = current;
  current = -1;
  show(number);
});

$("#scrubber").max = last;
$("#track").style.setProperty("--start", start / last);
const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
begin(1.1 * rem / 16);
show(0);
