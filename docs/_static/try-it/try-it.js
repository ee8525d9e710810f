// Makes the cells of the page editable. The worker runs them: see worker.js.

"use strict";

const HERE = document.currentScript.src;
const FROM_A_FILE =
  "Python could not be loaded: the page must come from a server. Run " +
  "“python -m http.server” in the folder of the site, and open " +
  "http://localhost:8000/try-it.html.";
const NOT_LOADED =
  "It comes from cdn.jsdelivr.net: is there a network connection, and does the browser " +
  "reach this server? Press Run to try again, or install the package. Any output " +
  "below is from when this page was built.";

let worker = null; // of the cells that have run; null before the first, and after Stop
let endRun = null; // ends the run that is under way

/** Make an element with attributes and children. */
function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
}

/** Let the keyboard reach text that scrolls. */
function reach(text) {
  if (text.scrollWidth > text.clientWidth) text.tabIndex = 0;
}

/** One cell: its code, its buttons, and what it shows. */
class Cell {
  constructor(element, number) {
    this.element = element;
    this.number = number;
    this.isDone = false;
    const input = element.querySelector(".cell_input");
    this.original = input.textContent.trim();
    this.code = make("textarea", {
      value: this.original,
      wrap: "off",
      spellcheck: false,
      autocapitalize: "off",
      ariaLabel: `Code of cell ${number}`,
    });
    this.run = make("button", { type: "button" });
    this.reset = make("button", {
      type: "button",
      textContent: "Reset",
      ariaLabel: `Reset the code of cell ${number}`,
    });
    this.status = make("span", { role: "status" });
    this.output = element.querySelector(".cell_output") ?? make("div");
    Object.assign(this.output, {
      className: "cell_output",
      role: "log", // read out as it grows
      ariaLabel: `Output of cell ${number}`,
    });
    const bar = make("div", { className: "try-it-bar" }, this.run, this.reset, this.status);
    input.replaceChildren(this.code);
    input.after(bar, this.output);
    this.output.querySelectorAll("pre").forEach(reach);

    this.setRunning(false, "");
    this.run.onclick = () => (this.isRunning ? stopPython() : runUpTo(this));
    this.reset.onclick = () => {
      this.code.value = this.original;
      this.edited();
      this.code.focus();
    };
    this.code.oninput = () => this.edited();
    this.code.onkeydown = (event) => this.pressed(event);
    this.edited();
  }

  edited() {
    this.isDone = false;
    this.code.rows = this.code.value.split("\n").length;
    this.reset.hidden = this.code.value === this.original;
  }

  pressed(event) {
    if (event.key !== "Enter" || event.isComposing) return;
    if (event.shiftKey || event.ctrlKey || event.metaKey) {
      event.preventDefault();
      runUpTo(this);
      return;
    }
    // Keep the indentation of the line; after a colon, indent once more.
    const line = this.code.value.slice(0, this.code.selectionStart).split("\n").pop();
    const indent = /^ */.exec(line)[0] + (/:\s*$/.test(line) ? "    " : "");
    event.preventDefault();
    document.execCommand("insertText", false, `\n${indent}`); // undo knows of it
  }

  /** Show that the cell runs, or no longer. */
  setRunning(isRunning, status) {
    this.isRunning = isRunning;
    this.run.textContent = isRunning ? "Stop" : "Run";
    this.run.ariaLabel = `${this.run.textContent} cell ${this.number}`;
    this.status.textContent = status;
  }

  /** Show a part of the output; text is joined to the text before it. */
  show(kind, content) {
    if (kind === "page") {
      const title = `Page of cell ${this.number}`;
      // The page is strange to this one: a script in it sees nothing else.
      const frame = make("iframe", { title, srcdoc: content, sandbox: "allow-scripts" });
      const href = URL.createObjectURL(new Blob([content], { type: "text/html" }));
      const link = make("a", { href, target: "_blank" }, "Open it in its own tab");
      this.output.append(frame, link);
    } else if (kind === "picture") {
      const src = `data:image/svg+xml,${encodeURIComponent(content)}`;
      this.output.append(make("img", { src, alt: `Picture of cell ${this.number}` }));
    } else if (content) {
      const last = this.output.lastElementChild;
      const text = last?.matches("pre") ? last : make("pre");
      text.append(content);
      this.output.append(text);
      reach(text);
    }
  }
}

/** Run a cell in the worker, and tell whether it came to its end. */
function execute(cell) {
  cell.setRunning(true, worker ? "Running" : "Loading Python: about 10 MB, once");
  return new Promise((resolve) => {
    endRun = (isDone, status) => {
      endRun = null;
      cell.isDone = isDone;
      cell.setRunning(false, status);
      resolve(isDone);
    };
    const notLoaded = (reason) =>
      stopPython(
        location.protocol === "file:"
          ? FROM_A_FILE
          : `Python could not be loaded (${reason}). ${NOT_LOADED}`,
      );
    try {
      worker ??= new Worker(new URL("worker.js", HERE));
    } catch (error) {
      notLoaded(error.message);
      return;
    }
    worker.onerror = (event) => notLoaded(event.message ?? "no answer");
    worker.onmessage = ({ data: { kind, content } }) => {
      if (kind === "not loaded") notLoaded(content);
      else if (kind === "crashed") stopPython(`Python crashed (${content}). Run it again`);
      else if (kind === "started") {
        cell.status.textContent = "Running";
        cell.output.replaceChildren();
      } else {
        cell.show(kind, content);
        if (kind === "error") endRun(false, "Stopped with an error");
        else if (kind !== "text") endRun(true, "Done");
      }
    };
    worker.postMessage({ code: cell.code.value, number: cell.number });
  });
}

/** Run a cell, and first those above it that have not run. */
async function runUpTo(last) {
  if (endRun) {
    last.status.textContent = "Another cell is running";
    return;
  }
  for (const cell of cells.slice(0, last.number - 1)) {
    if (cell.isDone) continue;
    last.setRunning(true, `Waiting for cell ${cell.number}`);
    if (!(await execute(cell))) {
      last.setRunning(false, `Cell ${cell.number}: ${cell.status.textContent}`);
      return;
    }
  }
  if ((await execute(last)) && last === cells.at(-1)) addCell(last);
}

/** Below the last cell, give an empty one for what comes next. */
function addCell(last) {
  const element = make("div", { className: "cell" }, make("div", { className: "cell_input" }));
  last.element.after(element);
  const cell = new Cell(element, last.number + 1);
  cells.push(cell);
  if (document.activeElement === last.code) cell.code.focus();
}

/** End the worker, and with it all that the cells have computed. */
function stopPython(status = "Stopped; the cells above will run again") {
  worker?.terminate();
  worker = null;
  for (const cell of cells) cell.isDone = false;
  endRun(false, status);
}

const cells = [...document.querySelectorAll("div.cell")].map((x, i) => new Cell(x, i + 1));
