// The details of a node, in a dialog: all its numbers, its formula, the user's line.

const details = $("#details");

function openDetails(node) {
  play(false);
  const facts = h("dl");
  const fact = (term, ...text) => facts.append(h("dt", {}, term), h("dd", {}, ...text));
  if (node.op) {
    fact(_("computed"), code(formulaOf(node)));
    fact(node.op, model.ops[node.op]);
    fact(_("passes back"), ...rulesOf(node).map(code));
  } else {
    fact(_("is"), node.kind);
  }
  fact(_("shape"), `${shapeText(node.shape)}, ${node.dtype}`);
  if (node.source) {
    const { file, line, text } = node.source;
    fact(_("your line"), h("code", {}, text),
      h("small", {}, _("{file}, line {line}", { file, line })));
  } else if (node.op) {
    fact(_("your line"), _("recorded only in a block "),
      h("code", {}, "with tg.debug():"));
  }
  const figures = h("div", { class: "figures" }, figure(_("value"), node.value));
  if (node.gradient !== undefined) figures.append(figure(_("gradient"), node.gradient));
  $("#details-title").textContent = node.name;
  $("#details-body").replaceChildren(facts, figures, ...changeButton(node));
  details.showModal();
}

function figure(title, number) {
  const room = { rows: 16, columns: 10, width: 56, height: 26 };
  return h("figure", {},
    h("figcaption", {}, title), viewOf(number, room, { title }).element);
}

// The formulas of what a node passes back.
function rulesOf({ key }) {
  return steps.filter(({ to, node }) => to !== undefined && node === key)
    .map(({ formula }) => formula);
}

$("#close").addEventListener("click", () => details.close());
details.addEventListener("click", (event) => {
  if (event.target === details) details.close();  // a click outside the dialog
});
