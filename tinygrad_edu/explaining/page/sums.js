// Sums: which elements an element of a result was made of, and how, in numbers. Each axis
// of a figure has a letter, as in einsum: the letters that the result does not have are
// summed over, and "." is an axis of size 1.

const resultOf = (equation) => equation.figures[equation.figures.length - 1];

// The terms of a sum, each a list of the figures that are multiplied.
function termsOf({ figures }) {
  const terms = [];
  for (const figure of figures.slice(0, -1)) {
    if (["+", "-", undefined].includes(figure.sign)) terms.push([]);
    terms[terms.length - 1].push(figure);
  }
  return terms;
}

// The letters that are summed over in a term, and how far each of them goes.
function summedIn(term, result) {
  const lengths = new Map();
  for (const { at, array } of term) {
    [...(at ?? "")].forEach((letter, axis) => {
      if (letter !== "." && !result.at.includes(letter)) {
        lengths.set(letter, arrayOf(array).shape[axis]);
      }
    });
  }
  return lengths;
}

// Whether it is known which elements make each element of the result.
const isReadable = ({ figures }) =>
  figures.length > 1 &&
  figures.every(({ at, array }) => at !== undefined && arrayOf(array).isWhole);

// What each letter is for an element of the result.
function lettersAt(result, place) {
  const index = indexOf(arrayOf(result.array), place);
  return new Map([...result.at].map((letter, axis) => [letter, index[axis]]));
}

// The index of a figure's element; null along an axis whose letter is not known.
const indexIn = ({ at }, letters) =>
  [...at].map((letter) => (letter === "." ? 0 : letters.get(letter) ?? null));

// Which elements of a figure act on an element of the result.
function marksIn(figure, letters) {
  const { numbers, shape } = arrayOf(figure.array);
  const wanted = indexIn(figure, letters);
  const known = [];
  let stride = numbers.length;
  shape.forEach((length, axis) => {
    stride /= length;
    if (wanted[axis] !== null) known.push([stride, length, wanted[axis]]);
  });
  return Array.from(numbers, (_, place) =>
    known.every(([size, length, i]) => Math.floor(place / size) % length === i));
}

// The products that a term adds to an element: a list of the factors of each.
function productsOf(term, result, letters) {
  let all = [letters];
  for (const [letter, length] of summedIn(term, result)) {
    all = all.flatMap((known) =>
      Array.from({ length }, (_, i) => new Map([...known, [letter, i]])));
  }
  return all.map((known) => term.map((figure) => {
    const array = arrayOf(figure.array);
    const number = array.numbers[placeOf(array, indexIn(figure, known))];
    return { number, sign: figure.sign };
  }));
}

const valueOf = (product) => product.reduce(
  (value, { number, sign }) => (sign === "/" ? value / number : value * number),
  product[0].sign === "-" ? -1 : 1);

const MOST = 6;  // products that are written

// Write how an element of the result is computed, in numbers.
function sumText(equation, place) {
  const result = resultOf(equation);
  const array = arrayOf(result.array);
  const name = `${typeset(result.title)}${indexText(indexOf(array, place))}`;
  const letters = lettersAt(result, place);
  const value = short(array.numbers[place], 4);
  const right = equation.call
    ? callText(equation, letters)
    : termsOf(equation).map((term) => termText(term, result, letters)).join("");
  return `${name} = ${right.replace(/^ \+ /, "").replace(/^ \u2212 /, MINUS)} = ${value}`;
}

function termText(term, result, letters) {
  const products = productsOf(term, result, letters);
  const left = products.length > MOST ? largestOf(products, MOST - 2) : products;
  const parts = left.map((product) => {
    const text = product.map(({ number, sign }, i) =>
      `${i ? (sign === "/" ? " / " : " \u00d7 ") : ""}${inBrackets(number)}`).join("");
    return ` ${product[0].sign === "-" ? MINUS : "+"} ${text}`;
  });
  const rest = products.length - left.length;
  return parts.join("") + (rest ? _(" + \u2026 ({n} more)", { n: rest }) : "");
}

function largestOf(products, count) {
  const sizes = products.map((product) => Math.abs(valueOf(product)));
  const least = [...sizes].sort((a, b) => b - a)[count - 1];
  return products.filter((_, i) => sizes[i] >= least).slice(0, count);
}

const inBrackets = (number) => (number < 0 ? `(${short(number)})` : short(number));

function callText(equation, letters) {
  const inputs = equation.figures.slice(0, -1).map((figure) => {
    const { numbers } = arrayOf(figure.array);
    const marks = marksIn(figure, letters);
    const marked = [...numbers].filter((_, place) => marks[place]);
    const shown = marked.slice(0, MOST).map((number) => short(number));
    return shown.join(", ") + (marked.length > MOST ? ", \u2026" : "");
  });
  return `${equation.call}(${inputs.join(", ")})`;
}
