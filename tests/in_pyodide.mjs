// Run a Python program in Pyodide, with the package from a wheel, and with NumPy if its
// wheel is beside Pyodide: node in_pyodide.mjs FOLDER WHEEL < program.py

import { readdirSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, wheel] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${folder}/pyodide.mjs`));
const python = await loadPyodide();
if (readdirSync(folder).some((name) => name.startsWith("numpy-")))
  await python.loadPackage("numpy", { messageCallback: () => {} });
python.unpackArchive(new Uint8Array(readFileSync(wheel)), "whl");
python.runPython(readFileSync(0, "utf8"));
