// Buttons, keys, and automatic play.

let timer = null;

function play(on) {
  clearTimeout(timer);
  timer = null;
  document.body.classList.toggle("playing", on);
  $("#play").setAttribute("aria-label", on ? _("Pause") : _("Play"));
  if (!on) return;
  timer = setTimeout(() => {
    showNext(1);
    play(current < last && !asked);
  }, Number($("#speed select").value));
}

function togglePlay() {
  if (timer === null && current === last) show(0);
  play(timer === null);
}

function go(number) {
  play(false);
  show(number);
}

function goOn(by) {
  play(false);
  showNext(by);
}

// The passes are tabs: each leads to its first step.
const tabs = { forward: $("#forward-tab"), backward: $("#backward-tab") };

function showTab(pass) {
  for (const [name, tab] of Object.entries(tabs)) {
    tab.setAttribute("aria-selected", name === pass);
    tab.tabIndex = name === pass ? 0 : -1;
  }
  $("#panel").setAttribute("aria-labelledby", tabs[pass].id);
}

function openTab(pass) {
  go(pass === "forward" ? 0 : start);
}

for (const [name, tab] of Object.entries(tabs)) {
  const other = name === "forward" ? "backward" : "forward";
  tab.addEventListener("click", () => openTab(name));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.preventDefault();
    event.stopPropagation();
    openTab(other);
    tabs[other].focus();
  });
}

const keys = {
  ArrowLeft: () => goOn(-1),
  ArrowRight: () => goOn(1),
  Home: () => go(0),
  End: () => go(last),
  " ": togglePlay,
};

document.addEventListener("keydown", (event) => {
  const action = keys[event.key];
  const isPlain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
  const hasOwnKeys = event.target.matches("select, input:not(#scrubber)") ||
    (event.key === " " && event.target.matches("button"));
  if (!action || !isPlain || hasOwnKeys || details.open) return;
  event.preventDefault();
  action();
});

$("#first").addEventListener("click", () => go(0));
$("#back").addEventListener("click", () => goOn(-1));
$("#play").addEventListener("click", togglePlay);
$("#forward").addEventListener("click", () => goOn(1));
$("#last").addEventListener("click", () => go(last));
$("#scrubber").addEventListener("input", (event) => go(stops[event.target.value]));
for (const button of [$("#fold"), $("#enter")]) {
  button.addEventListener("click", () => openFolds(!isOpen));
}
$("#fold").hidden = !folds.length;
$("#smaller").addEventListener("click", () => zoom(Math.max(scale / 1.25, sizes().whole / 2)));
$("#larger").addEventListener("click", () => zoom(scale * 1.25));
$("#fit").addEventListener("click", fit);
