// Thumbnails: what a box of the picture shows of an array. A number is written; an array
// is a small picture of its numbers, or of its images.

const pictures = new Map();  // by the array's number

function pictureOf(number) {
  if (!pictures.has(number)) {
    const canvas = h("canvas");
    paint(canvas, arrayOf(number), rasterOf(arrayOf(number)));
    pictures.set(number, canvas.toDataURL());
  }
  return pictures.get(number);
}

// Show an array in the place of some lines of text.
function fill(text, number, [width, height]) {
  const { numbers } = arrayOf(number);
  if (numbers.length === 0) return;
  const lines = [...text.querySelectorAll("tspan")];
  if (numbers.length === 1) {
    lines[0].textContent = short(numbers[0], 4);
    return;
  }
  let image = text.nextElementSibling;
  if (image?.localName !== "image") {
    const [first] = lines;
    const { isTiled } = rasterOf(arrayOf(number));
    image = drawn("image", {
      x: first.getAttribute("x"), y: first.getAttribute("y") - 9, width, height,
      preserveAspectRatio: isTiled ? "xMinYMin meet" : "none",
    });
    text.after(image);
  }
  image.setAttribute("href", pictureOf(number));
}
