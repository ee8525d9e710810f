// The picture of the graph: what each step shows, hides and highlights in it.

const svg = $("#picture svg");
const boxes = new Map();  // the boxes of values in the picture, by key
const ops = new Map();  // the boxes of the ops that computed them, by key
const edges = new Map();  // the edges, by "from-to"

svg.setAttribute("role", "group");
for (const box of svg.querySelectorAll(".node.data[data-node]")) {
  boxes.set(Number(box.dataset.node), box);
  measure(box);
}
for (const op of svg.querySelectorAll(".node.op[data-node]")) {
  ops.set(Number(op.dataset.node), op);
}
for (const edge of svg.querySelectorAll(".edge")) {
  const ends = `${edge.dataset.from}-${edge.dataset.to}`;
  edges.set(ends, [...(edges.get(ends) ?? []), edge]);
  addHeadBack(edge);
}

// The box of a computed value grows to the right when its gradient arrives.
function measure(box) {
  const { width } = box.querySelector("rect");
  const gradient = box.matches(".parameter") ? null : box.querySelector(".gradient");
  const end = Math.max(...[...box.children]
    .filter((child) => child.localName === "text")
    .map((text) => text.getBBox())
    .map(({ x, width }) => x + width));
  box.grown = width.baseVal.value;
  const left = box.querySelector("rect").x.baseVal.value;
  box.small = gradient ? Math.min(end + 10 - left, box.grown) : box.grown;
}

// Add an arrowhead that points back, which the backward pass shows.
function addHeadBack(edge) {
  const line = edge.querySelector(".line");
  const [tip, end] = [line.getPointAtLength(0), line.getPointAtLength(9)];
  const [dx, dy] = [(end.y - tip.y) * 0.45, (tip.x - end.x) * 0.45];
  edge.append(drawn("path", {
    class: "back",
    d: `M${tip.x} ${tip.y}L${end.x + dx} ${end.y + dy}L${end.x - dx} ${end.y - dy}Z`,
  }));
}

// For each node: the step that computes it, and the steps that change its gradient.
const bornAt = new Map();
const gradients = new Map(model.nodes.map(({ key }) => [key, []]));
const crossedAt = new Map();  // the step that takes a gradient back along an edge
steps.forEach((step, number) => {
  if (step.kind === "compute") bornAt.set(step.node, number);
  if (step.gradient) {
    gradients.get(step.to ?? step.node)?.push({ number, ...step.gradient });
  }
  for (const edge of edgesOf(step)) {
    if (step.to !== undefined) crossedAt.set(edge, number);
  }
});

// The edges that a step is about.
function edgesOf({ inputs, node, to, edge }) {
  return (inputs ?? [to]).flatMap((other) => {
    const parallel = edges.get(`${other}-${node}`) ?? [];
    return edge === undefined ? parallel : parallel.slice(edge, edge + 1);
  });
}

for (const node of model.nodes) {
  const box = boxes.get(node.key);
  box.setAttribute("tabindex", 0);
  box.setAttribute("role", "button");
  // Its label, which `update` writes, says all of it.
  box.querySelector("title").remove();
  for (const text of box.querySelectorAll("text")) text.after(" ");  // words apart
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    openDetails(node);
  });
  for (const element of [box, ops.get(node.key)]) {
    element?.addEventListener("click", () => openDetails(node));
  }
}

// Show a node's box as it is at a step.
function update(node, number) {
  const box = boxes.get(node.key);
  const isKnown = (bornAt.get(node.key) ?? 0) <= number;
  const gradient = gradients.get(node.key).findLast((event) => event.number <= number);
  const state = `${isKnown} ${gradient?.number}`;
  if (box.dataset.state === state) return;
  box.dataset.state = state;
  box.classList.toggle("pending", !isKnown);
  box.querySelector("rect").style.width = `${gradient ? box.grown : box.small}px`;
  box.classList.toggle("graded", Boolean(gradient));
  box.classList.toggle("incomplete", gradient?.complete === false);
  fill(box.querySelector(".value"), node.value, node.room);
  // Without a gradient yet, keep the old one: it is hidden.
  if (gradient) fill(box.querySelector(".gradient .numbers"), gradient.array, node.room);
  box.setAttribute("aria-label", labelOf(node, box, isKnown, gradient));
}

// What a screen reader says of a box: first what is to be seen in it.
function labelOf(node, box, isKnown, gradient) {
  const seen = [...box.querySelectorAll(".name, .shape")].map((text) => text.textContent);
  const parts = [node.formula ?? node.kind];
  const say = (what, number, soFar = "") => {
    const array = arrayOf(number);
    if (array.numbers.length === 1) seen.push(short(array.numbers[0], 4));
    parts.push(`${what} ${summary(array)}${soFar}`);
  };
  if (isKnown) say("value", node.value);
  if (gradient) say("gradient", gradient.array, gradient.complete ? "" : " so far");
  return `${seen.join(" ")}, ${parts.join(", ")}`;
}

// Show which arrows the gradient has gone back along.
function updateEdges(number) {
  for (const [edge, at] of crossedAt) edge.classList.toggle("crossed", at <= number);
}

let lit = [];

// Highlight what the step is about.
function light(step) {
  for (const element of lit) element.classList.remove("active", "other", "flowing");
  lit = [];
  const add = (element, name) => {
    element?.classList.add(name);
    if (element) lit.push(element);
  };
  add(boxes.get(step.node), "active");
  if (step.kind !== "start") add(ops.get(step.node), "active");
  for (const other of step.inputs ?? [step.to]) add(boxes.get(other), "other");
  for (const edge of edgesOf(step)) add(edge, "flowing");
  reveal(step);
}
