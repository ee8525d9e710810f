// The program: computes the arrays of the page for other leaves. `program.py` wrote it,
// as equations of NumPy's functions of single numbers.

const truth = (f) => (a, b) => Number(f(a, b));

function copysign(a, b) {
  return b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a);
}

function logaddexp(a, b) {
  if (a === b) return a + Math.LN2;
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}

function remainder(a, b) {
  const rest = a % b;
  return rest && rest < 0 !== b < 0 ? rest + b : rest;
}

// To the nearest whole number; from the middle, to the even one.
function rint(a) {
  const below = Math.floor(a);
  if (a - below !== 0.5) return Math.round(a);
  return below % 2 ? below + 1 : below;
}

const FUNCTIONS = {
  absolute: Math.abs, add: (a, b) => a + b, arccos: Math.acos, arccosh: Math.acosh,
  arcsin: Math.asin, arcsinh: Math.asinh, arctan: Math.atan,
  arctan2: (a, b) => Math.atan2(a, b), arctanh: Math.atanh,
  bitwise_and: (a, b) => a & b, bitwise_or: (a, b) => a | b, bitwise_xor: (a, b) => a ^ b,
  cbrt: Math.cbrt, ceil: Math.ceil, copysign, cos: Math.cos, cosh: Math.cosh,
  deg2rad: (a) => a * (Math.PI / 180), divide: (a, b) => a / b,
  equal: truth((a, b) => a === b), exp: Math.exp, exp2: (a) => 2 ** a, expm1: Math.expm1,
  floor: Math.floor, floor_divide: (a, b) => Math.floor(a / b),
  fmax: (a, b) => (a > b || b !== b ? a : b), fmin: (a, b) => (a < b || b !== b ? a : b),
  fmod: (a, b) => a % b,
  greater: truth((a, b) => a > b), greater_equal: truth((a, b) => a >= b),
  hypot: (a, b) => Math.hypot(a, b), invert: (a) => ~a, isfinite: truth(Number.isFinite),
  isinf: truth((a) => Math.abs(a) === Infinity), isnan: truth((a) => a !== a),
  less: truth((a, b) => a < b), less_equal: truth((a, b) => a <= b), log: Math.log,
  log10: Math.log10, log1p: Math.log1p, log2: Math.log2, logaddexp,
  logaddexp2: (a, b) => logaddexp(a * Math.LN2, b * Math.LN2) / Math.LN2,
  logical_not: truth((a) => !a), maximum: (a, b) => Math.max(a, b),
  minimum: (a, b) => Math.min(a, b), multiply: (a, b) => a * b, negative: (a) => -a,
  not_equal: truth((a, b) => a !== b), positive: (a) => a, power: (a, b) => a ** b,
  rad2deg: (a) => a * (180 / Math.PI), reciprocal: (a) => 1 / a, remainder, rint,
  sign: Math.sign, sin: Math.sin, sinh: Math.sinh, sqrt: Math.sqrt, square: (a) => a * a,
  subtract: (a, b) => a - b, tan: Math.tan, tanh: Math.tanh, trunc: Math.trunc,
  where: (a, b, c) => (a ? b : c),
};

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

// List the places to which a start and strides lead.
function walk(sizes, start, strides) {
  let found = Int32Array.of(start);
  sizes.forEach((n, axis) => {
    const next = new Int32Array(found.length * n);
    for (let i = 0; i < next.length; i++) {
      next[i] = found[Math.floor(i / n)] + (i % n) * strides[axis];
    }
    found = next;
  });
  return found;
}

// The places of the elements of an input, which are given by strides or as an array.
function placesOf([, start, strides], sizes) {
  return strides ? walk(sizes, start, strides) : arrayOf(start).numbers;
}

const empty = ({ shape, single }) =>
  new (single ? Float32Array : Float64Array)(sizeOf(shape));

// Return a function that computes an equation from the slots before it.
function loopOf(line, shapes) {
  if (line.matrix) return matrices(line);
  return line.scatter ? scatter(line, shapes) : fold(line);
}

function fold(line) {
  const { of, shape, over = [], start = null } = line;
  const [f, join] = [FUNCTIONS[line.do], FUNCTIONS[line.fold]];
  const [i, j = i, k = j] = of.map((input) => placesOf(input, shape));
  const [p, q = p, r = q] = of.map(
    ([, , strides = []]) => walk(over, 0, strides.slice(shape.length)));
  if (line.do === "multiply" && line.fold === "add" && of.length === 2) {
    // Most of the work is products of matrices; this loop is much faster.
    return (slots) => {
      const [a, b] = of.map(([slot]) => slots[slot]);
      const result = empty(line);
      for (let n = 0; n < result.length; n++) {
        let total = 0;
        for (let m = 0; m < p.length; m++) total += a[i[n] + p[m]] * b[j[n] + q[m]];
        result[n] = total;
      }
      return result;
    };
  }
  return (slots) => {
    const [a, b = a, c = b] = of.map(([slot]) => slots[slot]);
    const result = empty(line);
    for (let n = 0; n < result.length; n++) {
      let total = start;
      for (let m = 0; m < p.length; m++) {
        const value = f(a[i[n] + p[m]], b[j[n] + q[m]], c[k[n] + r[m]]);
        total = total === null ? value : join(total, value);
      }
      result[n] = total;
    }
    return result;
  };
}

function scatter(line, shapes) {
  const places = line.scatter.map((input) => placesOf(input, shapes[input[0]]));
  return (slots) => {
    const result = empty(line);
    line.scatter.forEach(([slot], i) => {
      slots[slot].forEach((value, n) => { result[places[i][n]] += value; });
    });
    return result;
  };
}

class Program {
  constructor({ lines, leaves, shown, loss }) {
    Object.assign(this, { lines, leaves, shown, loss });
    // The slots of conditions, which choose between numbers.
    this.choices = lines.filter(({ do: f }) => f === "where").map(({ of: [[slot]] }) => slot);
    this.shapes = lines.map((line) => line.shape ?? model.arrays[line].shape);
    this.given = leaves.map(({ single }, slot) =>
      new (single ? Float32Array : Float64Array)(arrayOf(lines[slot]).numbers));
    this.loops = lines.map((line) => {
      if (line.shape) return loopOf(line, this.shapes);
      const { numbers } = arrayOf(line);
      return () => numbers;
    });
  }

  // Compute what is in all slots, for values of the leaves, which have the first ones.
  run(values) {
    const slots = [...values];
    for (const loop of this.loops.slice(values.length)) slots.push(loop(slots));
    return slots;
  }
}

// Why there is no program, if there is none.
const unknown = model.program.lines?.find((line) => line.do && !FUNCTIONS[line.do]);
const without = model.program.without ?? (unknown && _("it cannot compute {op}", { op: unknown.do }));
