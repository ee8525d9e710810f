// Light or dark: as the page around this one is set, or else as the system is.

const dark = matchMedia("(prefers-color-scheme: dark)");
const darkRules = [...document.styleSheets].flatMap(({ cssRules }) => [...cssRules])
  .filter(({ media }) => media?.mediaText === dark.media);

// The elements that have it; none if there is no page around, or one of another site.
const around = (() => {
  try {
    const { documentElement, body } = parent.document;
    return parent === window ? [] : [documentElement, body];
  } catch {
    return [];
  }
})();

// How the page around is set: "light", "dark", or nothing that is known.
function themeAround() {
  const [html, body] = around.map(({ dataset }) => dataset);
  const { theme, jpThemeLight } = { ...html, ...body };  // of Sphinx, of JupyterLab
  return { true: "light", false: "dark" }[jpThemeLight] ?? theme;
}

function followTheme() {
  const theme = themeAround();
  const isSet = theme === "light" || theme === "dark";
  for (const { media } of darkRules) {
    media.mediaText = !isSet ? dark.media : theme === "dark" ? "all" : "not all";
  }
  document.documentElement.style.colorScheme = isSet ? theme : "";
}

followTheme();
for (const element of around) {
  new MutationObserver(() => {
    followTheme();
    refresh();
  }).observe(element, { attributeFilter: ["data-theme", "data-jp-theme-light"] });
}
dark.addEventListener("change", () => refresh());
