// Rasters: where each element of an array is, if the array is a picture. In a matrix each
// element has a pixel; an array of images has a tile for each image.

// Find the axes of images: two equal ones of four, or one that is as long as a square.
function imageAxes({ shape, isWhole }) {
  const n = shape.length;
  const isSquare = (i) => shape[i] > 1 && shape[i] === shape[i + 1];
  if (!isWhole) return null;
  if (n === 4) return isSquare(2) ? [2, 3] : isSquare(1) ? [1, 2] : null;
  const isOne = (n === 1 || n === 2) && shape[n - 1] >= 16;
  return isOne && Number.isInteger(Math.sqrt(shape[n - 1])) ? [n - 1] : null;
}

// The width and the height, and the place of the element at each pixel (-1 for none).
function rasterOf(array, isTurned = false) {
  const axes = imageAxes(array);
  if (axes) return tilesOf(array, axes);
  const columns = widthOf(array);
  const rows = array.numbers.length / columns;
  const [height, width] = isTurned ? [columns, rows] : [rows, columns];
  const places = Int32Array.from({ length: rows * columns }, (_, i) =>
    isTurned ? (i % width) * columns + Math.floor(i / width) : i);
  return { width, height, places, isTiled: false };
}

// How many elements of an array to show in a row: those of its last axes, of more than
// one if it has many, so that it is about as high as wide.
function widthOf({ shape, columns, isWhole, numbers }) {
  if (shape.length < 3 || !isWhole) return columns;
  const widths = shape.map((_, axis) => shape.slice(axis).reduce((a, b) => a * b, 1));
  const shapeliness = (width) => Math.abs(Math.log((2 * numbers.length) / width ** 2));
  return widths.reduce((a, b) => (shapeliness(a) < shapeliness(b) ? a : b));
}

function tilesOf({ shape }, axes) {
  const others = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const count = others.reduce((n, axis) => n * shape[axis], 1);
  const side = axes.length === 2 ? shape[axes[0]] : Math.sqrt(shape[axes[0]]);
  const isTable = others.every((axis) => shape[axis] > 1) && others.length > 1;
  if (isTable) others.sort((a, b) => shape[a] - shape[b]);  // the longer one goes across
  const across = isTable ? shape[others[1]] : Math.ceil(Math.sqrt(2.5 * count));
  const wide = Math.min(across, count);
  const width = wide * (side + 1) - 1;
  const height = Math.ceil(count / wide) * (side + 1) - 1;
  const places = new Int32Array(width * height).fill(-1);
  const stride = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
  for (let tile = 0; tile < count; tile++) {
    let rest = tile;
    let first = 0;
    for (const axis of [...others].reverse()) {
      first += (rest % shape[axis]) * stride[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    const [top, left] = [Math.floor(tile / wide), tile % wide].map((n) => n * (side + 1));
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const within = axes.length === 2
          ? y * stride[axes[0]] + x * stride[axes[1]] : y * side + x;
        places[(top + y) * width + left + x] = first + within;
      }
    }
  }
  return { width, height, places, isTiled: true };
}

// Colour a pixel for each element: blue below 0, orange above.
function paint(canvas, { numbers, largest }, { width, height, places }) {
  canvas.width = width;
  canvas.height = height;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).split(" ").map(Number);
  const [negative, zero, positive, broken] =
    ["--negative", "--zero", "--positive", "--broken"].map(colour);
  const image = new ImageData(width, height);
  places.forEach((place, i) => {
    if (place < 0) return;
    const number = numbers[place];
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

// Draw a line around the pixels whose elements are marked.
function outline(canvas, { width, height, places }, isMarked) {
  const [wide, high] = [canvas.clientWidth, canvas.clientHeight]
    .map((length) => length * devicePixelRatio);
  Object.assign(canvas, { width: wide, height: high });
  const pen = canvas.getContext("2d");
  pen.strokeStyle = getComputedStyle(canvas).color;
  pen.lineWidth = 2 * devicePixelRatio;
  const [across, down] = [wide / width, high / height];
  const is = (x, y) => x >= 0 && y >= 0 && x < width && y < height &&
    places[y * width + x] >= 0 && isMarked[places[y * width + x]];
  const line = (...ends) => {
    const inside = ([x, y]) => [
      Math.min(Math.max(x * across, 1), wide - 1), Math.min(Math.max(y * down, 1), high - 1),
    ];
    pen.moveTo(...inside(ends[0]));
    pen.lineTo(...inside(ends[1]));
  };
  pen.beginPath();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!is(x, y)) continue;
      if (!is(x, y - 1)) line([x, y], [x + 1, y]);
      if (!is(x, y + 1)) line([x, y + 1], [x + 1, y + 1]);
      if (!is(x - 1, y)) line([x, y], [x, y + 1]);
      if (!is(x + 1, y)) line([x + 1, y], [x + 1, y + 1]);
    }
  }
  pen.stroke();
}
