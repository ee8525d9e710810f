// Folds: turns of a loop that the picture hides. Closed, a fold is one step of each pass,
// and one box. Open, it has all its steps, and the picture shows the turn of the step.

const { folds } = model;
let isOpen = false;

// Where the hidden values are: the fold, the turn, and the place in the turn.
const hiddenAt = new Map();
for (const fold of folds) {
  const uses = new Map();
  for (const key of fold.turns.flat()) uses.set(key, (uses.get(key) ?? 0) + 1);
  fold.turns.forEach((keys, turn) => keys.forEach((key, slot) => {
    const isShared = fold.turns.length > 1 && uses.get(key) > 1;
    if (!isShared && !shownAnyway(key)) hiddenAt.set(key, { fold, turn, slot });
  }));
}

function shownAnyway(key) {
  return Boolean($(`#picture > svg .data[data-node="${key}"]:not(.more)`));
}

// The first and the last step in a fold, for each pass.
const start = steps.findIndex(({ kind }) => kind === "start");
for (const fold of folds) fold.steps = { forward: [], backward: [] };
steps.forEach(({ node }, number) => {
  const { fold } = hiddenAt.get(node) ?? {};
  if (!fold) return;
  const range = fold.steps[passOf(number)];
  range[0] ??= number;
  range[1] = number;
});

function passOf(number) {
  return number < start ? "forward" : "backward";
}

// The fold that a step is in, with the numbers of its first and last step.
function foldAt(number) {
  const { fold } = hiddenAt.get(steps[number].node) ?? {};
  return fold && { fold, range: fold.steps[passOf(number)] };
}

// The steps at which the page stops: of a closed fold, only the last.
function listStops() {
  return steps.map((_, number) => number).filter((number) => {
    const at = foldAt(number);
    return isOpen || !at || number === at.range[1];
  });
}

// The turn that is shown of a fold: that of a step, or the nearest to it.
function turnAt(fold, number) {
  const at = hiddenAt.get(steps[number].node);
  if (at?.fold === fold) return at.turn;
  const isBehind = number > fold.steps[passOf(number)][1];
  return isBehind === (passOf(number) === "forward") ? fold.turns.length - 1 : 0;
}

// The box that shows a value.
function boxOf(key) {
  const at = hiddenAt.get(key);
  if (!at) return key;
  const { fold, turn, slot } = at;
  if (!isOpen || fold.turns.length === 1) return fold.box;
  if (!fold.shown) return key;  // two turns: both are shown
  return turn === fold.now ? fold.shown[slot] : turn < fold.now ? fold.before : fold.after;
}

// The value that a box shows.
function valueIn(box) {
  if (isOpen) {
    for (const { shown, turns, now } of folds) {
      const slot = shown?.indexOf(box) ?? -1;
      if (slot >= 0) return turns[now][slot];
    }
  }
  return box;
}

// What a step is; the only step of a closed fold is all of them.
function stepAt(number) {
  const at = isOpen ? undefined : foldAt(number);
  if (!at) return steps[number];
  const { fold: { box, about }, range } = at;
  const inputs = [...picture.edges.values()]
    .map(([edge]) => edge.dataset)
    .filter(({ to }) => Number(to) === box)
    .map(({ from }) => Number(from));
  const sentence = _("{hidden}.", { hidden: about });
  return { kind: "fold", node: box, inputs, range, sentence, formula: "", equations: [] };
}
