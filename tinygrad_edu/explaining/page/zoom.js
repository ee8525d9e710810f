// The size of the picture, and which part of it is in sight.

const calm = matchMedia("(prefers-reduced-motion: reduce)");

const EDGE = 4;  // px to show around a node
const READABLE = 0.82;  // the smallest zoom at which text of 11 px can be read
const GLANCE = 0.7;  // the smallest zoom at which the whole is shown at first
const FAR = 0.55;  // below it, only names are shown, in large letters
let scale = 1;

// Scroll the graph, and only the graph, to show what is highlighted: first the node that
// gets its value or gradient, then as much of the rest as there is room for.
function reveal(step) {
  if (!lit.length) return;
  const target = boxOf(step.to ?? step.node);
  const { boxes, ops } = picture;
  const most = [boxes.get(target), step.to === undefined && ops.get(target)];
  const frame = $("#picture");
  const outer = frame.getBoundingClientRect();
  const move = (low, high, length) => {
    const [all, needed] = [lit, most].map((elements) => {
      const areas = elements.filter(Boolean).map((e) => e.getBoundingClientRect());
      return [
        Math.min(...areas.map((area) => area[low])) - outer[low] - EDGE,
        Math.max(...areas.map((area) => area[high])) - outer[low] - length + EDGE,
      ];
    });
    if (all[0] >= 0 && all[1] <= 0) return 0;
    const centred = (all[0] + all[1]) / 2;
    return Math.min(Math.max(centred, needed[1]), needed[0]);
  };
  frame.scrollBy({
    left: move("left", "right", frame.clientWidth),
    top: move("top", "bottom", frame.clientHeight),
    behavior: calm.matches ? "instant" : "smooth",
  });
}

function zoom(to) {
  scale = Math.min(to, 4);
  const { svg, size } = picture;
  svg.setAttribute("width", size.width * scale);
  svg.setAttribute("height", size.height * scale);
  svg.classList.toggle("far", scale < FAR);
  if (current >= 0) reveal(stepAt(current));
  showPart();
}

// The largest zooms that show the graph's full width, its full height, or both.
function sizes() {
  const frame = $("#picture");
  const { paddingLeft, paddingTop, paddingBottom } = getComputedStyle(frame);
  const across = (frame.clientWidth - 2 * parseFloat(paddingLeft)) / picture.size.width;
  const room = frame.clientHeight - parseFloat(paddingTop) - parseFloat(paddingBottom);
  const down = room / picture.size.height;
  return { across, down, whole: Math.min(across, down, 1.5) };
}

// Show the whole graph.
const fit = () => zoom(sizes().whole);

// Begin with the whole graph, or a readable part of it; the steps scroll to the rest.
function begin() {
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const comfortable = 1.1 * rem / 16;
  const { across, down, whole } = sizes();
  const part = Math.min(Math.max(across, down), comfortable);
  zoom(whole >= GLANCE ? whole : Math.max(part, READABLE));
}

// --- The map: the whole graph, and a frame around the part in sight ---

const minimap = $("#minimap");
const part = drawn("rect", { class: "part" });

function drawMap() {
  const { boxes, size } = picture;
  minimap.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  minimap.replaceChildren(...Array.from(boxes, ([key, box]) =>
    drawn("path", { class: "spot", "data-spot": key, d: outlineOf(box) })), part);
}

function outlineOf(box) {
  const rect = box.querySelector("rect");
  const move = picture.svg.querySelector("g").transform.baseVal[0].matrix;
  const [x, y, width, height] =
    ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name)));
  return `M${x + move.e} ${y + move.f}h${width}v${height}h${-width}z`;
}

function showPart() {
  const frame = $("#picture");
  const isWhole = frame.scrollWidth <= frame.clientWidth + 1 &&
    frame.scrollHeight <= frame.clientHeight + 1;
  minimap.toggleAttribute("hidden", isWhole);
  const sides = {
    x: frame.scrollLeft, y: frame.scrollTop,
    width: frame.clientWidth, height: frame.clientHeight,
  };
  for (const [name, length] of Object.entries(sides)) part.setAttribute(name, length / scale);
}

$("#picture").addEventListener("scroll", showPart);
for (const kind of ["pointerdown", "pointermove"]) {
  minimap.addEventListener(kind, (event) => {
    if (!event.buttons) return;
    const box = minimap.getBoundingClientRect();
    const frame = $("#picture");
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    frame.scrollTo(
      (x / box.width) * picture.size.width * scale - frame.clientWidth / 2,
      (y / box.height) * picture.size.height * scale - frame.clientHeight / 2);
  });
}

// --- Two pictures: with the folds closed, and open ---

function showPicture() {
  const other = isOpen ? $("#opened svg") : null;
  folded.svg.toggleAttribute("hidden", Boolean(other));
  $("#opened").hidden = !other;
  if (other) unfolded ??= new Picture(other);
  picture = other ? unfolded : folded;
  arrangement = null;
  picture.forget();
  drawMap();
  begin();
}
