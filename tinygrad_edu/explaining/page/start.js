// Start at the first step; paint again when the colours change.

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  const number = current;
  current = -1;
  show(number);
});

$("#scrubber").max = last;
$("#track").style.setProperty("--start", start / last);
const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
begin(1.1 * rem / 16);
show(0);
