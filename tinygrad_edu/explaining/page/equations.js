// Equations: all that goes into a step and all that comes out, side by side. The element
// that is pointed at shows what it is made of.

// Show the equations of a step; hide their results while it asks for one.
function showEquations({ equations }, isAsking) {
  const hidden = new Set(isAsking ? equations.map((each) => resultOf(each).title) : []);
  const views = equations.map((equation) => equationView(equation, hidden));
  $("#figures").replaceChildren(...views.map(({ element }) => element));
  for (const { ready } of views) ready();
}

// How much room an array has in the panel, in rem, beside the others.
function roomFor(equation) {
  const size = parseFloat(getComputedStyle($("#panel")).fontSize);
  const wide = $("#panel").clientWidth / size - equation.call.length;
  const count = Math.max(equation.figures.length, 3);
  const width = Math.max((wide - 6) / count - 2, 10);
  return { rows: 8, columns: 6, width: Math.min(width, wide - 4), height: 6.5 };
}

function equationView(equation, hidden) {
  const { figures, call } = equation;
  const result = resultOf(equation);
  const readable = isReadable(equation);
  const room = roomFor(equation);
  const line = h("div", { class: "equation" });
  const sum = h("p", { class: "sum", "aria-live": "polite" });
  if (call) line.append(h("span", { class: "sign call" }, call), bracket("("));
  const terms = termsOf(equation);
  const views = figures.map((figure) => {
    const isResult = figure === result && figures.length > 1;
    if (isResult && call) line.append(bracket(")"));
    if (figure.sign) line.append(h("span", { class: "sign" }, typeset(figure.sign)));
    const term = call ? undefined : terms.find((each) => each.includes(figure));
    if (readable && term?.[0] === figure && isAddedUp(term, result)) {
      line.append(h("span", { class: "sign", title: _("the sum of all of them") }, "\u03a3"));
    }
    const isHidden = hidden.has(figure.title);
    const view = viewOf(figure.array, room, {
      isTurned: figure.turned,
      title: figure.title,
      pick: isResult && readable && !isHidden ? pick : undefined,
    });
    const note = readable && !isResult ? noteOn(figure, term, result) : "";
    line.append(h("figure", {}, caption(figure),
      isHidden ? h("div", { class: "unknown" }, "?") : view.element,
      h("small", { class: "note" }, note)));
    return view;
  });

  function pick(place) {
    const letters = lettersAt(result, place);
    figures.forEach((figure, i) => {
      if (arrayOf(figure.array).numbers.length > 1) views[i].mark(marksIn(figure, letters));
    });
    sum.textContent = sumText(equation, place);
  }
  const isShown = readable && !hidden.size && arrayOf(result.array).numbers.length > 0;
  return {
    element: h("div", {}, line, sum),
    ready: () => isShown && pick(largestAt(arrayOf(result.array))),
  };
}

const bracket = (text) => h("span", { class: "sign bracket" }, text);

function caption({ title, array, turned }) {
  const { shape: own } = arrayOf(array);
  const shape = turned ? [...own].reverse() : own;
  const size = shape.length ? [" ", h("small", {}, shape.join(" \u00d7 "))] : [];
  return h("figcaption", {}, typeset(title), ...size);
}

// Whether a term adds up elements, and no "@" says so.
const isAddedUp = (term, result) =>
  summedIn(term, result).size > 0 && !term.some(({ sign }) => sign === "@");

// Say what is done with a figure besides multiplying it.
function noteOn({ at, array, turned }, term, result) {
  const lines = rasterOf(arrayOf(array)).isTiled && at.length === 2;
  if (lines) {
    return turned ? _("each image is a column") : _("each image is a row");
  }
  if (turned) return _("transposed: rows became columns");
  if (term?.some(({ sign }) => sign === "@")) return "";
  const { shape } = arrayOf(result.array);
  if (term && summedIn(term, result).size) {
    const isSummed = [...at].map((letter) => letter !== "." && !result.at.includes(letter));
    const isOneOf = isSummed.length === 2 && isSummed[0] !== isSummed[1];
    if (!isOneOf || at.includes(".")) return _("all of it is added up");
    return isSummed[0] ? _("its rows are added up") : _("its columns are added up");
  }
  if ([...at].some((letter) => letter !== "." && !result.at.includes(letter))) return "";
  const isCopied = [...result.at].map((letter, axis) => shape[axis] > 1 && !at.includes(letter));
  const isRowOrColumn = isCopied.length === 2 && isCopied[0] !== isCopied[1];
  if (!isRowOrColumn || !at) return "";
  return isCopied[0] ? _("copied to each row") : _("copied to each column");
}
