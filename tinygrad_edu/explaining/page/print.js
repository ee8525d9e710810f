// Print: the last step, and a table of all steps.

// A row for each step: its sentence, and the numbers it leads to.
function fillPrintedTable() {
  $("#printed tbody").replaceChildren(...stops.map((number) => {
    const step = stepAt(number);
    const isList = step.kind === "given" || step.kind === "done";
    const results = step.equations.slice(isList ? 0 : -1).map(resultOf);
    return h("tr", {},
      h("td", {}, String(number + 1)),
      h("td", {}, step.sentence, ...(step.formula ? [code(step.formula)] : [])),
      h("td", {}, ...results.map(({ title, array }) => result(title, arrayOf(array)))));
  }));
}

function result(title, array) {
  const isSmall = array.isWhole && array.rows <= 4 && array.columns <= 4;
  return h("figure", {}, h("figcaption", {}, title),
    isSmall ? table(array, rasterOf(array)).element : summary(array));
}

let before = 0;
addEventListener("beforeprint", () => {
  before = current;
  show(last);
  fillPrintedTable();
});
addEventListener("afterprint", () => show(before));
