// Figures: a small array is a table, a large one is a heat map.

// How many rows and columns a table may have, and how large, in rem, a heat map is.
const PANEL = { rows: 8, columns: 6, width: 22, height: 10 };
const DETAILS = { rows: 16, columns: 10, width: 56, height: 26 };

function figure(title, number, room, sign = "") {
  const array = arrayOf(number);
  const isSmall = array.rows <= room.rows && array.columns <= room.columns;
  const isWhole = array.down === 1 && array.across === 1;
  return h("figure", {},
    h("figcaption", {}, h("span", { class: "sign" }, sign && `${sign} `), title),
    !array.numbers.length ? h("code", {}, "[]")
      : isSmall && isWhole ? table(array) : heatMap(array, room));
}

// Colour a cell: blue below 0, orange above; a larger number has a stronger colour.
function tint(cell, number, largest) {
  if (!Number.isFinite(number)) cell.className = "broken";
  else if (number) cell.className = number < 0 ? "negative" : "positive";
  cell.style.setProperty("--share", Math.abs(number / largest) || 0);
}

function table(array) {
  const body = h("tbody");
  for (let row = 0; row < array.rows; row++) {
    const line = h("tr");
    for (let column = 0; column < array.columns; column++) {
      const number = array.numbers[row * array.columns + column];
      const title = `${indexOf(array, row, column)} = ${format(number, 7)}`;
      const cell = h("td", { title }, format(number));
      if (array.numbers.length > 1) tint(cell, number, array.largest);
      line.append(cell);
    }
    body.append(line);
  }
  return h("table", { class: "numbers" }, body);
}

// A canvas with a pixel for each element; pointer and arrow keys show the numbers.
function heatMap(array, room) {
  const { rows, columns, numbers } = array;
  const across = Math.min(room.width / columns, 1.2);
  const down = Math.min(room.height / rows, 1.2);
  const width = columns * Math.min(across, down * 5);  // cells are not too wide
  const height = rows * Math.min(down, across * 5);
  const label = `Heat map, ${shapeText(array.shape)}. Arrow keys show the numbers.`;
  const canvas = h("canvas", {
    width: columns, height: rows, tabindex: 0, role: "img", "aria-label": label,
  });
  const cursor = h("div", { class: "cursor", hidden: "" });
  const readout = h("output", { "aria-live": "polite" }, "\u00a0");
  const frame = h("div", { class: "map" }, canvas, cursor);
  frame.style.width = `${width}rem`;
  frame.style.aspectRatio = `${width} / ${height}`;
  paint(canvas, array);

  let at = [0, 0];
  function point(row, column) {
    at = [Math.min(Math.max(row, 0), rows - 1), Math.min(Math.max(column, 0), columns - 1)];
    const number = numbers[at[0] * columns + at[1]];
    readout.textContent = `${indexOf(array, ...at)} = ${format(number, 7)}`;
    cursor.hidden = false;
    cursor.style.left = `${(at[1] / columns) * 100}%`;
    cursor.style.top = `${(at[0] / rows) * 100}%`;
    cursor.style.width = `${100 / columns}%`;
    cursor.style.height = `${100 / rows}%`;
  }
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    point(
      Math.floor(((event.clientY - box.top) / box.height) * rows),
      Math.floor(((event.clientX - box.left) / box.width) * columns));
  });
  canvas.addEventListener("focus", () => point(...at));
  canvas.addEventListener("keydown", (event) => {
    const move = {
      ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    }[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    point(at[0] + move[0], at[1] + move[1]);
  });
  return h("div", { class: "heat" }, frame, legend(array), readout);
}

function legend({ largest, down, across }) {
  const parts = [
    h("span", {}, format(-largest)), h("span", { class: "scale" }),
    h("span", {}, format(largest)),
  ];
  const shown = [];
  if (down > 1) shown.push(`one row in ${down}`);
  if (across > 1) shown.push(`one column in ${across}`);
  if (shown.length) parts.push(h("small", {}, `shown: ${shown.join(", ")}`));
  return h("div", { class: "legend" }, ...parts);
}

function paint(canvas, { rows, columns, numbers, largest }) {
  if (!numbers.length) return;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).split(" ").map(Number);
  const [negative, zero, positive, broken] =
    ["--negative", "--zero", "--positive", "--broken"].map(colour);
  const image = new ImageData(columns, rows);
  numbers.forEach((number, i) => {
    const share = largest ? Math.abs(number) / largest : 0;
    const end = number < 0 ? negative : positive;
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = Number.isFinite(number)
        ? zero[c] + (end[c] - zero[c]) * share : broken[c];
    }
    image.data[4 * i + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}
