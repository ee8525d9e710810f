// Runs the cells of the page "Try it". It is a worker, so an endless loop does not
// freeze the page, and Stop can end it.

"use strict";

const NPM = "https://cdn.jsdelivr.net/npm/";
const PYODIDE = NPM + "pyodide@0.27.7/";
const GRAPHVIZ = NPM + "@viz-js/viz@3.31.0/dist/viz-global.js";
const NUMPY =
  "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/numpy-2.0.2-cp312-cp312-pyodide_2024_0_wasm32.whl";

// All that comes from another server, with the only content that is accepted: that of
// npm's packages, and for NumPy, what pyodide-lock.json says.
const HASHES = {
  [PYODIDE + "pyodide.js"]:
    "sha384-90so5tCKvl0xs9agU29IMKlAVzhfzFX7QO//YxQkRhJG58bBZrFN+2ZTRB026X5X",
  [PYODIDE + "pyodide.asm.js"]:
    "sha384-J3SxzZJh4tkb2bgoUc72zArF45FJ+ngsbiqNsmxqkkecNVpZ/bUHAM0JMp+YPVpx",
  [PYODIDE + "pyodide.asm.wasm"]:
    "sha384-wDap6JvXxf3C8g5beY3kd1xMIjAtw/oTKjTqGltdxc+B9VXnYyYBoM7hveNKilxM",
  [PYODIDE + "python_stdlib.zip"]:
    "sha384-VLeJs79hxVEBNt1hRU5Wo7VmBcyb4sdW564EJAvEWDin3Aa3QXLHm3E5mOg2GiFH",
  [PYODIDE + "pyodide-lock.json"]:
    "sha384-1cFE0bj3+mm1a83kcqiWxoaBhrf6jPPJJORlx1TComnZ0WaHwE4znlohwPXL5tUL",
  [NUMPY]: "sha256-67YSQdliuYshWX185DtnZoptW6s6zsT76VhlcyDXzQg=",
  [GRAPHVIZ]:
    "sha384-iX6VK6ib27dxYB4T470zbHOsDDoLewuYvrIgv2B3XXe8kgfKsGMf8QIleFy6VPi4",
};

// Pyodide fetches most of its files itself; so its calls are checked too.
const plainFetch = self.fetch;
self.fetch = (url, options) =>
  plainFetch(url, { ...options, integrity: HASHES[url] ?? options?.integrity });

async function content(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.blob();
}

/** Run a script, which `importScripts` cannot check. */
async function runScript(url) {
  const address = URL.createObjectURL(await content(url));
  importScripts(address);
  URL.revokeObjectURL(address);
}

async function start() {
  const [wheel, ...sources] = await Promise.all([
    content("tinygrad_edu.whl").then((blob) => blob.arrayBuffer()),
    content("cells.py").then((blob) => blob.text()),
    content("pygraphviz.py").then((blob) => blob.text()),
    runScript(GRAPHVIZ),
    runScript(PYODIDE + "pyodide.asm.js"),
    runScript(PYODIDE + "pyodide.js"),
  ]);
  const viz = await Viz.instance();
  self.layOut = (program, engine) => viz.renderString(program, { format: "json0", engine });
  const python = await loadPyodide({ indexURL: PYODIDE });
  await python.loadPackage(NUMPY, { messageCallback: () => {} });
  python.unpackArchive(wheel, "whl");
  ["cells.py", "pygraphviz.py"].forEach((name, i) => python.FS.writeFile(name, sources[i]));
  for (const set of [python.setStdout, python.setStderr]) {
    const decoder = new TextDecoder();
    const write = (bytes) => {
      postMessage({ kind: "text", content: decoder.decode(bytes, { stream: true }) });
      return bytes.length;
    };
    set({ write });
  }
  return python.pyimport("cells");
}

const cells = start();
cells.catch(() => {}); // the first cell to run tells it

onmessage = async ({ data: { code, number } }) => {
  let kind = "not loaded";
  try {
    const { run } = await cells;
    kind = "crashed";
    postMessage({ kind: "started" });
    const [end, shown] = run(code, number).toJs();
    postMessage({ kind: end, content: shown });
  } catch (error) {
    postMessage({ kind, content: error.message });
  }
};
