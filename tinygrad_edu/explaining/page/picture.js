// The picture of the graph: what each step shows, hides and highlights in it. There is a
// second one if loops are folded: in it the folds are open.

const nodes = new Map(model.nodes.map((node) => [node.key, node]));

class Picture {
  constructor(svg) {
    this.svg = svg;
    this.size = svg.viewBox.baseVal;
    this.boxes = new Map();  // the boxes of values, by key
    this.ops = new Map();  // the boxes of the ops that computed them, by key
    this.edges = new Map();  // the edges, by "from-to"
    svg.setAttribute("role", "group");
    for (const box of svg.querySelectorAll(".node.data[data-node]")) {
      this.boxes.set(Number(box.dataset.node), box);
    }
    for (const op of svg.querySelectorAll(".node.op[data-node]")) {
      this.ops.set(Number(op.dataset.node), op);
    }
    for (const edge of svg.querySelectorAll(".edge")) {
      const ends = `${edge.dataset.from}-${edge.dataset.to}`;
      this.edges.set(ends, [...(this.edges.get(ends) ?? []), edge]);
      addHeadBack(edge);
    }
    for (const [key, box] of this.boxes) {
      measure(box);
      if (isMore(box)) {
        if (folds.some((fold) => [fold.box, fold.before, fold.after].includes(key))) {
          makeButton(box, () => openFolds(!isOpen));
        }
        continue;
      }
      const open = () => openDetails(nodes.get(valueIn(key)));
      makeButton(box, open);
      this.ops.get(key)?.addEventListener("click", open);
      // The label that `update` writes says the same.
      box.querySelector("title").remove();
      for (const text of box.querySelectorAll("text")) text.after(" ");  // words apart
    }
  }

  // Let the next `update` write all boxes again.
  forget() {
    for (const box of this.boxes.values()) delete box.dataset.state;
  }
}

const isMore = (box) => box.matches(".more");

function makeButton(box, action) {
  box.setAttribute("tabindex", 0);
  box.setAttribute("role", "button");
  box.addEventListener("click", action);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    action();
  });
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

const folded = new Picture($("#picture > svg"));
let unfolded = null;  // made when it is shown first
let picture = folded;

// For each node: the step that computes it, and the steps that change its gradient.
const bornAt = new Map();
const gradients = new Map(model.nodes.map(({ key }) => [key, []]));
steps.forEach((step, number) => {
  if (step.kind === "compute") bornAt.set(step.node, number);
  if (step.gradient) {
    gradients.get(step.to ?? step.node)?.push({ number, ...step.gradient });
  }
});

// Show a turn of each fold, and find out which step crosses which edge.
const crossedAt = new Map();  // the step that takes a gradient back along an edge
let arrangement = null;

function arrange(number) {
  for (const fold of folds) fold.now = turnAt(fold, number);
  const now = [isOpen, ...folds.map((fold) => fold.now)].join();
  if (now === arrangement) return;
  arrangement = now;
  crossedAt.clear();
  steps.forEach((step, number) => {
    if (step.to === undefined) return;
    for (const edge of edgesOf(step)) crossedAt.set(edge, number);
  });
  for (const { before, after, turns, now } of folds) {
    count(picture.boxes.get(before), now);
    count(picture.boxes.get(after), turns.length - 1 - now);
  }
}

// Say how many turns a box hides, if it hides some.
function count(box, turns) {
  if (picture === folded || !box) return;
  box.classList.toggle("none", !turns);
  const name = box.querySelector(".name");
  name.textContent = name.textContent.replace(/[\d,]+/, turns);
}

// The edges that a step is about. Behind a box of several values there is only one.
function edgesOf({ inputs, node, to, edge }) {
  return (inputs ?? [to]).flatMap((other) => {
    const parallel = picture.edges.get(`${boxOf(other)}-${boxOf(node)}`) ?? [];
    if (edge === undefined) return parallel;
    const at = Math.min(edge, parallel.length - 1);
    return parallel.slice(at, at + 1);
  });
}

// Show a box as it is at a step.
function update(key, box, number) {
  const node = nodes.get(valueIn(key));
  const isKnown = (bornAt.get(node.key) ?? 0) <= number;
  const gradient = gradients.get(node.key).findLast((event) => event.number <= number);
  const state = `${node.key} ${isKnown} ${gradient?.number}`;
  if (box.dataset.state === state) return;
  box.dataset.state = state;
  if (node.key !== key || box.standsIn) {
    box.standsIn = true;
    box.querySelector(".name").textContent = node.name;
  }
  box.classList.toggle("pending", !isKnown);
  box.querySelector("rect").style.width = `${gradient ? box.grown : box.small}px`;
  box.classList.toggle("graded", Boolean(gradient));
  box.classList.toggle("incomplete", gradient?.complete === false);
  fill(box.querySelector(".value"), node.value, node.room);
  // Without a gradient yet, keep the old one: it is hidden.
  if (gradient) fill(box.querySelector(".gradient .numbers"), gradient.array, node.room);
  box.setAttribute("aria-label", labelOf(node, box, isKnown, gradient));
}

// What a screen reader says of a box: first the text in it.
function labelOf(node, box, isKnown, gradient) {
  const seen = [...box.querySelectorAll(".name, .shape")].map((text) => text.textContent);
  const parts = [formulaOf(node) ?? node.kind];
  const say = (message, number) => {
    const array = arrayOf(number);
    if (array.numbers.length === 1) seen.push(short(array.numbers[0], 4));
    parts.push(message(summary(array)));
  };
  if (isKnown) say((numbers) => _("value {numbers}", { numbers }), node.value);
  if (gradient) {
    say((numbers) => (gradient.complete ? _("gradient {numbers}", { numbers })
      : _("gradient {numbers} so far", { numbers })), gradient.array);
  }
  return `${seen.join(" ")}, ${parts.join(", ")}`;
}

// How a node is computed.
const formulaOf = ({ key }) => steps[bornAt.get(key)]?.formula;

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
  const { boxes, ops } = picture;
  add(boxes.get(boxOf(step.node)), "active");
  if (step.kind !== "start") add(ops.get(boxOf(step.node)), "active");
  for (const other of step.inputs ?? [step.to]) add(boxes.get(boxOf(other)), "other");
  for (const edge of edgesOf(step)) add(edge, "flowing");
  reveal(step);
}
