// Arrays: unpack them, and write their numbers, indices and shapes as text.

const decoded = new Map();

// Return an array by its number, as rows and columns (some may be left out).
function arrayOf(number) {
  if (!decoded.has(number)) decoded.set(number, decode(model.arrays[number]));
  return decoded.get(number);
}

function decode({ shape, steps, type, data }) {
  const text = typeof data === "number" ? model.arrays[data].data : data;
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return laidOut(
    shape, new (type === "f4" ? Float32Array : Float64Array)(bytes.buffer), steps);
}

// Lay out the numbers of an array in rows.
function laidOut(shape, numbers, [down, across] = [1, 1]) {
  const width = shape.length ? shape[shape.length - 1] : 1;
  const columns = Math.ceil(width / across);
  const rows = columns ? numbers.length / columns : 0;
  let largest = 0;
  for (const number of numbers) {
    const size = Math.abs(number);
    if (size > largest && size < Infinity) largest = size;
  }
  const isWhole = down === 1 && across === 1;
  return { shape, down, across, isWhole, numbers, rows, columns, largest };
}

// The index in the user's array of the element at a place: [3, 17].
function indexOf({ shape, columns, down, across }, place) {
  if (!shape.length) return [];
  const index = [(place % columns) * across];
  let rest = Math.floor(place / columns) * down;
  for (const length of shape.slice(0, -1).reverse()) {
    index.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return index;
}

// The place of an element of an array that is kept as a whole.
const placeOf = ({ shape }, index) =>
  index.reduce((place, i, axis) => place * shape[axis] + i, 0);

const indexText = (index) => (index.length ? `[${index.join(", ")}]` : "");

// Where the largest number is.
function largestAt({ numbers }) {
  let at = 0;
  numbers.forEach((number, i) => {
    if (Math.abs(number) > Math.abs(numbers[at])) at = i;
  });
  return at;
}

const MINUS = "\u2212";

function format(number, digits = 4) {
  const size = Math.abs(number);
  const isShort = Number.isInteger(number) && size < 1e6;
  const text = isShort ? String(number)
    : size < 1e-4 ? number.toExponential(digits - 1) : number.toPrecision(digits);
  return text.replaceAll("-", MINUS);
}

// As few digits as needed: 0.5, not 0.5000.
const short = (number, digits = 3) =>
  String(Number(number.toPrecision(digits))).replaceAll("-", MINUS);

// A formula in print: "W2^T" with a raised T.
function typeset(formula) {
  const raised = { "^T": "\u1d40", "^2": "\u00b2", "^3": "\u00b3" };
  return formula
    .replace(/\^[T23](?!\w)/g, (power) => raised[power])
    .replaceAll("-", MINUS);
}

const code = (formula) => h("code", {}, typeset(formula));
const shapeText = (shape) => (shape.length ? shape.join(" \u00d7 ") : _("a number"));

// Describe an array in one line.
function summary({ numbers, shape }) {
  if (numbers.length === 1) return format(numbers[0]);
  if (!numbers.length) return shapeText(shape);
  const [low, high] = [Math.min, Math.max].map((f) => numbers.reduce((a, b) => f(a, b)));
  return _("{shape}, {low} to {high}",
    { shape: shapeText(shape), low: format(low), high: format(high) });
}
