// "Predict, then look": a step asks for one number before it shows it. A wrong answer is
// compared with the results of usual slips.

let isPredicting = false;
const answered = new Set();  // the steps whose number has been shown

// The number that a step asks for: one of its result, which the model names.
function questionOf(step) {
  const equation = step.equations[step.equations.length - 1];
  if (step.place === undefined || !isReadable(equation)) return null;
  const { place } = step;
  const result = resultOf(equation);
  const array = arrayOf(result.array);
  const value = array.numbers[place];
  const name = `${typeset(result.title)}${indexText(indexOf(array, place))}`;
  return { step, equation, place, value, name };
}

// The results of slips: a list of [what, number]. If the slip is more than a factor, the
// result holds for the recorded numbers only.
function slipsOf({ step, value }) {
  const factors = model.factors.map(([factor, what]) => [what, factor * value]);
  return [...(now ? [] : step.slips), ...factors]
    .filter(([, number]) => !isNear(number, value));
}

// Whether an answer is one product of a sum of several.
function isPart(guess, { equation, place }) {
  const result = resultOf(equation);
  if (equation.call) return false;
  const products = termsOf(equation).flatMap(
    (term) => productsOf(term, result, lettersAt(result, place)));
  return products.length > 1 && products.some((each) => isNear(guess, valueOf(each)));
}

// Whether an answer is right to 2 digits, or nearly so.
const isNear = (a, b) => Math.abs(a - b) <= 0.02 * Math.abs(b) ||
  a.toPrecision(2) === b.toPrecision(2);

// Explain a wrong answer, if a usual slip gives it.
function verdictOn(guess, question) {
  if (isNear(guess, question.value)) return "";
  const found = slipsOf(question).filter(([, number]) => isNear(guess, number));
  if (found.length) {
    const said = found.slice(0, 2).map(([what]) => typeset(what));
    return _("Not yet: {slips}.", { slips: said.join(_(", or ")) });
  }
  return isPart(guess, question)
    ? _("Not yet. That is one part of a sum: add all of them.")
    : _("Not yet. Look at the formula and the arrays.");
}

let asked = null;  // the question that waits for an answer

// Return the question of a step, if it is to be answered before the step is shown.
function questionAt(number) {
  return isPredicting && !answered.has(number) ? questionOf(stepAt(number)) : null;
}

function ask(question) {
  asked = question;
  $("#ask").hidden = !question;
  $("#verdict").textContent = "";
  if (!question) return;
  $("#ask label").textContent = 
    _("What is {name}, to 2 digits?", { name: question.name });
  $("#guess").value = "";
  $("#guess").focus();
}

const answer = () => ({ name: asked.name, value: short(asked.value, 4) });

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
    $("#verdict").textContent = _("Type a number, for example 0.25 or \u22121.5.");
    return;
  }
  const verdict = verdictOn(guess, asked);
  if (verdict) $("#verdict").textContent = verdict;
  else look(_("Right: {name} is {value}.", answer()));
});
$("#tell").addEventListener("click", () => look(_("{name} is {value}.", answer())));
$("#predict").addEventListener("click", () => {
  isPredicting = !isPredicting;
  answered.clear();
  if (isPredicting) answered.add(current);  // it has been seen
  $("#predict").setAttribute("aria-pressed", isPredicting);
  redraw();
});
