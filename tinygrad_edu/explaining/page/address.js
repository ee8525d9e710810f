// The step in the address: #step=12 leads to it, and survives a reload.

const HAS_ADDRESS = location.protocol !== "about:";  // which a page in a notebook is
let remembering = null;
let rememberedAt = -Infinity;

// Write the step into the address. While steps follow each other fast, do it later:
// browsers limit how often an address may change.
function remember() {
  clearTimeout(remembering);
  if (!HAS_ADDRESS || current === stepInAddress()) return;
  if (performance.now() - rememberedAt < 100) {
    remembering = setTimeout(remember, 200);
    return;
  }
  rememberedAt = performance.now();
  history.replaceState(null, "", `#step=${current + 1}`);
}

function stepInAddress() {
  const [, number] = location.hash.match(/^#step=(\d+)$/) ?? [];
  return number ? Number(number) - 1 : 0;
}

addEventListener("hashchange", () => show(stepInAddress()));
