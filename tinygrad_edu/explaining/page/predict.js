// "Predict, then look": a step asks for one number before it shows it. A wrong answer is
// compared with what usual slips give.

let isPredicting = false;
const answered = new Set();  // the steps whose number has been shown

// The number that a step asks for: the largest one of its result.
function questionOf(step) {
  const equation = step.equations[step.equations.length - 1];
  if (!["compute", "contribute"].includes(step.kind) || !isReadable(equation)) return null;
  const result = resultOf(equation);
  const array = arrayOf(result.array);
  if (!array.numbers.length) return null;
  const place = largestAt(array);
  const value = array.numbers[place];
  if (!Number.isFinite(value)) return null;
  const name = `${typeset(result.title)}${indexText(indexOf(array, place))}`;
  return { step, equation, place, value, name };
}

// What comes out with a slip: a list of { what, value }.
function slipsOf({ step, equation, place, value }) {
  const result = resultOf(equation);
  const letters = lettersAt(result, place);
  const slips = [...(step.slips ?? []), { what: "The sign is the other way.", value: -value }];
  if (equation.call) return slips;
  const terms = termsOf(equation).map((term) => ({
    term, products: productsOf(term, result, letters),
  }));
  const total = (f) => terms.reduce((sum, each) => sum + f(each), 0);
  const sumOf = (products, without) =>
    products.reduce((sum, product) => sum + valueOf(product, without), 0);
  for (const { term, products } of terms) {
    const others = value - sumOf(products);
    const [first] = products;
    if (terms.length > 1) {
      slips.push({ what: `You left out ${wordsFor(term)}.`, value: others });
    }
    if (products.length > 1) {
      const what = `That is one product of ${products.length}: add all of them.`;
      for (const product of products) slips.push({ what, value: others + valueOf(product) });
    }
    for (const figure of term.length > 1 ? term : []) {
      const what = `You left out the factor ${typeset(figure.title)}.`;
      slips.push({ what, value: others + sumOf(products, figure) });
      slips.push(...slipsWithin(step, figure, first, (number) =>
        others + (sumOf(products) / numberOf(figure, first)) * number));
    }
  }
  slips.push({ what: "A sign between two terms is the other way.", value: total(
    ({ products }) => (products[0][0].sign === "-" ? -1 : 1) * sumOf(products)) });
  return slips.filter((slip) => !isNear(slip.value, value));
}

const numberOf = (figure, product) => product.find((each) => each.figure === figure).number;
const wordsFor = (term) => term.map(({ title }) => typeset(title)).join(" \u00d7 ");

// Slips in the local derivative, if the step computes it in an equation of its own.
function slipsWithin(step, figure, product, finish) {
  const inner = step.equations.find((each) =>
    resultOf(each).title === figure.title && !each.figures.includes(figure));
  const array = arrayOf(figure.array);
  if (!inner || inner.call || !isReadable(inner) || array.numbers.length < 1) return [];
  const place = array.numbers.indexOf(numberOf(figure, product));
  return slipsOf({ step: { equations: [] }, equation: inner, place,
    value: array.numbers[place] }).map(({ what, value }) => ({ what, value: finish(value) }));
}

// Whether an answer is right to 2 digits, or nearly so.
const isNear = (a, b) => Math.abs(a - b) <= 0.02 * Math.abs(b) ||
  a.toPrecision(2) === b.toPrecision(2);

// Say what a wrong answer comes from, if that can be told.
function verdictOn(guess, question) {
  if (isNear(guess, question.value)) return "";
  const slip = slipsOf(question).find(({ value }) => isNear(guess, value));
  return slip ? `Not yet. ${slip.what}` : "Not yet. Look at the formula and the arrays.";
}

let asked = null;  // the question that waits for an answer

// Return the question of a step, if it is to be answered before the step is shown.
function questionAt(number) {
  return isPredicting && !answered.has(number) ? questionOf(steps[number]) : null;
}

function ask(question) {
  asked = question;
  $("#ask").hidden = !question;
  $("#verdict").textContent = "";
  if (!question) return;
  $("#ask label").textContent = `What is ${question.name}, to 2 digits?`;
  $("#guess").value = "";
  $("#guess").focus();
}

function look(message) {
  answered.add(current);
  redraw();
  $("#verdict").textContent = message;
  $("#forward").focus();
}

$("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("#guess").value.trim().replace(MINUS, "-").replace(",", ".");
  const guess = text ? Number(text) : NaN;
  if (!Number.isFinite(guess)) {
    $("#verdict").textContent = "Type a number, for example 0.25 or \u22121.5.";
    return;
  }
  const verdict = verdictOn(guess, asked);
  if (verdict) $("#verdict").textContent = verdict;
  else look(`Right: ${asked.name} is ${short(asked.value, 4)}.`);
});
$("#tell").addEventListener("click", () =>
  look(`${asked.name} is ${short(asked.value, 4)}.`));
$("#predict").addEventListener("click", () => {
  isPredicting = !isPredicting;
  answered.clear();
  if (isPredicting) answered.add(current);  // it has been seen
  $("#predict").setAttribute("aria-pressed", isPredicting);
  redraw();
});
