// The picture of the graph: what each step shows, hides and highlights in it.

const svg = $("#picture svg");
const boxes = new Map();  // the boxes of values in the picture, by key
const ops = new Map();  // the boxes of the ops that computed them, by key
const edges = new Map();  // the edges, by "from-to"

svg.setAttribute("role", "group");
for (const box of svg.querySelectorAll(".node.data[data-node]")) {
  boxes.set(Number(box.dataset.node), box);
}
for (const op of svg.querySelectorAll(".node.op[data-node]")) {
  ops.set(Number(op.dataset.node), op);
}
for (const edge of svg.querySelectorAll(".edge")) {
  const ends = `${edge.dataset.from}-${edge.dataset.to}`;
  edges.set(ends, [...(edges.get(ends) ?? []), edge]);
}

// For each node: the step that computes it, and the steps that change its gradient.
const bornAt = new Map();
const gradients = new Map(model.nodes.map(({ key }) => [key, []]));
steps.forEach((step, number) => {
  if (step.kind === "compute") bornAt.set(step.node, number);
  if (step.gradient) {
    gradients.get(step.to ?? step.node)?.push({ number, ...step.gradient });
  }
});

for (const node of model.nodes) {
  const box = boxes.get(node.key);
  box.setAttribute("tabindex", 0);
  box.setAttribute("role", "button");
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
  box.classList.toggle("graded", Boolean(gradient));
  box.classList.toggle("incomplete", gradient?.complete === false);
  // Without a gradient yet, keep the old text: it is hidden, but takes up its space.
  box.querySelectorAll(".gradient .numbers tspan").forEach((line, i) => {
    if (gradient) line.textContent = gradient.lines[i];
  });
  const parts = [node.name, node.formula ?? node.kind];
  if (isKnown) parts.push(`value ${summary(arrayOf(node.value))}`);
  if (gradient) {
    const soFar = gradient.complete ? "" : " so far";
    parts.push(`gradient ${summary(arrayOf(gradient.array))}${soFar}`);
  }
  box.setAttribute("aria-label", parts.join(", "));
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
  const others = step.inputs ?? (step.to === undefined ? [] : [step.to]);
  for (const other of others) {
    add(boxes.get(other), "other");
    const parallel = edges.get(`${other}-${step.node}`) ?? [];
    const taken = step.edge === undefined ? parallel : [parallel[step.edge]];
    for (const edge of taken) add(edge, "flowing");
  }
  reveal(step);
}
