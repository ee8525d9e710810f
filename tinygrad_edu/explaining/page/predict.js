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

// What comes out with a slip: a list of { what, value }. A step may bring some of its own.
function slipsOf({ step, equation, place, value }) {
  const slips = [
    ...(step.slips ?? []),
    { what: "The sign is the other way.", value: -value },
  ];
  if (!equation.call) {
    const letters = lettersAt(resultOf(equation), place);
    const terms = termsOf(equation);
    for (const term of terms) {
      const products = productsOf(term, resultOf(equation), letters);
      slips.push(...slipsIn(term, products, value, terms.length > 1, step));
    }
  }
  return slips.filter((slip) => !isNear(slip.value, value));
}

// What comes out with a slip in one term of a sum.
function slipsIn(term, products, value, hasOthers, step) {
  const sum = (without) =>
    products.reduce((total, product) => total + valueOf(product, without), 0);
  const others = value - sum();
  const slips = [];
  const add = (what, part) => slips.push({ what, value: others + part });
  if (hasOthers) {
    const names = term.map(({ title }) => typeset(title)).join(" \u00d7 ");
    add(`You left out ${names}.`, 0);
    add(`The sign of ${names} is the other way.`, -sum());
  }
  for (const product of products.length > 1 ? products : []) {
    add(`That is one product of ${products.length}: add all of them.`, valueOf(product));
  }
  for (const figure of term.length > 1 ? term : []) {
    add(`You left out the factor ${typeset(figure.title)}.`, sum(figure));
    const { number } = products[0].find((factor) => factor.figure === figure);
    for (const slip of slipsBehind(figure, number, step)) {
      add(slip.what, (sum() / number) * slip.value);
    }
  }
  return slips;
}

// Slips in a factor, if the step computes it in an equation of its own.
function slipsBehind(figure, value, step) {
  const equation = step.equations.find((each) =>
    resultOf(each).title === figure.title && !each.figures.includes(figure));
  if (!equation || !isReadable(equation)) return [];
  const place = arrayOf(figure.array).numbers.indexOf(value);
  return slipsOf({ step: { equations: [] }, equation, place, value });
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
