// The size of the picture, and which part of it is in sight.

const calm = matchMedia("(prefers-reduced-motion: reduce)");

const EDGE = 4;  // px to show around a node
const READABLE = 0.85;  // the smallest zoom at which text of 11 px can be read
const natural = svg.viewBox.baseVal;
let scale = 1;

// Scroll the graph, and only the graph, to show what is highlighted: first the node that
// gets its value or gradient, then as much of the rest as there is room for.
function reveal(step) {
  if (!lit.length) return;
  const target = step.to ?? step.node;
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
  svg.setAttribute("width", natural.width * scale);
  svg.setAttribute("height", natural.height * scale);
  if (current >= 0) reveal(steps[current]);
}

// The largest zoom that shows the graph's full width (across), or the whole graph.
function sizes() {
  const frame = $("#picture");
  const { paddingLeft, paddingTop, paddingBottom } = getComputedStyle(frame);
  const across = (frame.clientWidth - 2 * parseFloat(paddingLeft)) / natural.width;
  const room = frame.clientHeight - parseFloat(paddingTop) - parseFloat(paddingBottom);
  return { across, whole: Math.min(across, room / natural.height, 2.2) };
}

// Show the whole graph.
const fit = () => zoom(sizes().whole);

// Begin with a readable part of the graph; the steps scroll to the rest.
function begin(comfortable) {
  const { across, whole } = sizes();
  zoom(Math.max(whole, Math.min(across, comfortable), READABLE));
}
