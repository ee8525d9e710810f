// Words: a button on each term explains it.

const MEANINGS = new Map([
  [_("leaves"), _("A leaf is a value that was not computed from others: an input, a target " +
    "or a parameter. A parameter is a leaf that training changes.")],
  [_("constant"), _("A constant is given. It is not changed by training, so it needs no " +
    "gradient.")],
  [_("gradient"), _("The gradient of a number is how much the result rises for each unit " +
    "that the number rises. If it is negative, the result falls. The gradient of an array " +
    "has one such number for each of its elements.")],
  [_("local derivative"), _("How much the output of this op alone rises for each unit that " +
    "this input rises. Multiply it by the gradient of the output, and you have what this " +
    "op adds to the gradient of the input: this is the chain rule.")],
  [_("by its rule"), _("Each op has a rule that turns the gradient of its output into the " +
    "gradient of an input. For a product of matrices, the rule is again a product of " +
    "matrices: the formula below.")],
  [_("backward pass"), _("The forward pass goes from the leaves to the result and computes " +
    "values. The backward pass goes from the result to the leaves and computes " +
    "gradients.")],
  ...[_("contribution"), _("contributions")].map((word) => [word,
    _("A value that is used several times acts on the result in several ways. Each use " +
      "contributes to the gradient, and the contributions are added.")]),
]);

// Return a sentence with a button for each term that it has.
function withMeanings(sentence, step) {
  const node = nodes.get(step.range ? undefined : step.node);
  const known = new Map(MEANINGS);
  if (model.ops[node?.op]) {
    const here = typeset(formulaOf(node));
    known.set(node.op, _("{op}: {about} Here: {formula}.",
      { op: node.op, about: model.ops[node.op], formula: here }));
  }
  const longestFirst = [...known.keys()].sort((a, b) => b.length - a.length);
  const words = longestFirst.map((word) => word.replace(/\W/g, "\\$&")).join("|");
  return sentence.split(new RegExp(`(?<!\\w)(${words})(?!\\w)`)).map((part) => {
    const meaning = known.get(part);
    known.delete(part);  // each term has a button once
    return meaning ? termButton(part, meaning) : part;
  });
}

function termButton(word, meaning) {
  const button = h("button", { type: "button", class: "term" }, word);
  button.addEventListener("click", () => {
    const box = $("#term");
    const { left, bottom } = button.getBoundingClientRect();
    box.textContent = meaning;
    box.showPopover({ source: button });
    const most = [innerWidth - box.offsetWidth - 8, innerHeight - box.offsetHeight - 8];
    box.style.left = `${Math.max(Math.min(left, most[0]), 8)}px`;
    box.style.top = `${Math.max(Math.min(bottom + 6, most[1]), 8)}px`;
  });
  return button;
}
