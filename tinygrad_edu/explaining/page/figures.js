// Figures: a small array is a table, a large one is a heat map, or images. A figure can
// mark elements, and say which one is pointed at.


// Show an array. The room is how many rows and columns a table may have, and how large, in
// rem, a heat map. `pick` is called with the place of the element that is pointed at.
function viewOf(number, room, { isTurned = false, title = "", pick } = {}) {
  const array = arrayOf(number);
  if (!array.numbers.length) return { element: h("code", {}, "[]"), mark() {} };
  const raster = rasterOf(array, isTurned);
  const isSmall = raster.width <= room.columns && raster.height <= room.rows;
  return isSmall && array.isWhole && !raster.isTiled
    ? table(array, raster, title, pick) : heatMap(array, raster, room, title, pick);
}

// Colour a cell: blue below 0, orange above; a larger number has a stronger colour.
function tint(cell, number, largest) {
  if (!Number.isFinite(number)) cell.classList.add("broken");
  else if (number) cell.classList.add(number < 0 ? "negative" : "positive");
  cell.style.setProperty("--share", Math.abs(number / largest) || 0);
}

const MOVES = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

// Where an arrow key leads to from a pixel, or null if it is another key.
function moved(event, [x, y], { width, height }) {
  const move = MOVES[event.key];
  if (!move) return null;
  event.preventDefault();
  event.stopPropagation();
  const within = (n, length) => Math.min(Math.max(n, 0), length - 1);
  return [within(x + move[0], width), within(y + move[1], height)];
}

function table(array, raster, title, pick) {
  const { width, height, places } = raster;
  const cells = [];
  const body = h("tbody");
  for (let y = 0; y < height; y++) {
    const row = h("tr");
    for (let x = 0; x < width; x++) {
      const place = places[y * width + x];
      const number = array.numbers[place];
      const index = indexText(indexOf(array, place));
      const cell = h("td", { title: `${index} = ${format(number, 7)}` }, format(number));
      if (array.numbers.length > 1) tint(cell, number, array.largest);
      cells[place] = cell;
      row.append(cell);
      if (!pick) continue;
      cell.tabIndex = place ? -1 : 0;
      for (const kind of ["pointerenter", "focus"]) {
        cell.addEventListener(kind, () => pick(place));
      }
      cell.addEventListener("keydown", (event) => {
        const to = moved(event, [x, y], raster);
        if (to) cells[places[to[1] * width + to[0]]].focus();
      });
    }
    body.append(row);
  }
  const element = h("table", { class: "numbers" }, body);
  if (pick) {
    element.setAttribute("role", "grid");
    element.setAttribute("aria-label", _("{title}; arrow keys go from cell to cell", { title }));
  }
  const mark = (isMarked) => cells.forEach((cell, place) =>
    cell.classList.toggle("marked", Boolean(isMarked[place])));
  return { element, mark };
}

// A canvas with a pixel for each element; pointer and arrow keys show the numbers.
function heatMap(array, raster, room, title, pick) {
  const { width, height, places, isTiled } = raster;
  const most = isTiled ? 0.35 : 1.2;
  let across = Math.min(room.width / width, most);
  let down = Math.min(room.height / height, most);
  if (isTiled) across = down = Math.min(across, down);
  across = Math.min(across, down * 5);  // cells are not too wide
  down = Math.min(down, across * 5);
  const shape = shapeText(array.shape);
  const label = _("{title}, {shape}. Arrow keys show the numbers.", { title, shape });
  const canvas = h("canvas", { tabindex: 0, role: "img", "aria-label": label });
  const cursor = h("div", { class: "cursor", hidden: "" });
  const readout = h("output", { "aria-live": "polite" });
  const frame = h("div", { class: "map" }, canvas, cursor);
  frame.style.width = `${width * across}rem`;
  frame.style.aspectRatio = `${width * across} / ${height * down}`;
  paint(canvas, array, raster);

  let marks = null;  // a canvas above, with a line around what is marked
  let at = [0, 0];
  function point(x, y) {
    const place = places[y * width + x];
    at = [x, y];
    if (!(place >= 0)) return;
    readout.textContent =
      `${indexText(indexOf(array, place))} = ${format(array.numbers[place], 7)}`;
    cursor.hidden = false;
    cursor.style.left = `${(x / width) * 100}%`;
    cursor.style.top = `${(y / height) * 100}%`;
    cursor.style.width = `${100 / width}%`;
    cursor.style.height = `${100 / height}%`;
    pick?.(place);
  }
  for (const kind of ["pointermove", "pointerdown"]) {
    canvas.addEventListener(kind, (event) => {
      const box = canvas.getBoundingClientRect();
      point(
        Math.floor(((event.clientX - box.left) / box.width) * width),
        Math.floor(((event.clientY - box.top) / box.height) * height));
    });
  }
  canvas.addEventListener("focus", () => point(...at));
  canvas.addEventListener("keydown", (event) => {
    const to = moved(event, at, raster);
    if (to) point(...to);
  });
  return {
    element: h("div", { class: "heat" }, frame, legend(array, readout)),
    mark(isMarked) {
      marks ??= frame.appendChild(h("canvas", { class: "marks", "aria-hidden": "true" }));
      outline(marks, raster, isMarked);
    },
  };
}

function legend({ largest, down, across }, readout) {
  const parts = [
    h("span", {}, format(-largest)), h("span", { class: "scale" }),
    h("span", {}, format(largest)),
  ];
  const shown = [];
  if (down > 1) shown.push(_("one row in {n}", { n: down }));
  if (across > 1) shown.push(_("one column in {n}", { n: across }));
  const what = shown.join(_(", "));
  if (what) parts.push(h("small", {}, _("shown: {what}", { what })));
  return h("div", { class: "legend" }, ...parts, readout);
}
