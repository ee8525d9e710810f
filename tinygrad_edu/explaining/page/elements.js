"use strict";
// The model of the graph that `stepper.py` wrote into the page, and how to find and make
// the elements of the page. All files of this folder together are one script.

const $ = (selector) => document.querySelector(selector);
const model = JSON.parse($("#model").textContent);
const { steps } = model;
const last = steps.length - 1;

// Say a message in the language of the page, with its fields filled in.
function _(message, fields = {}) {
  return (model.words[message] ?? message).replace(
    /\{(\w+)\}/g, (_, name) => fields[name]);
}

// Make an element: h("p", { class: "hint" }, "text", child, ...).
function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

// Make an element of a drawing.
function drawn(tag, attributes) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, []);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
