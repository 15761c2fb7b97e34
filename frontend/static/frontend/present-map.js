// The map of the present, on the home page and on a service's: states come with the page and change when it refreshes.

import { startMap } from "./map.js";

const element = document.querySelector("[data-present-map]");
let states = new Map();

function read() {
  const source = document.getElementById("map-states");
  states = new Map(Object.entries(source ? JSON.parse(source.textContent) : {}));
}

/** A region takes its own state, else that of what it lies in; the server has spread them already. */
const stateOf = (code) => states.get(code)?.[0] ?? "normal";

function describe(code, name) {
  const found = states.get(code);
  return found ? [name, found[1]] : [name, element.dataset.normal];
}

if (element) {
  read();
  const map = await startMap(element, { stateOf, affected: () => [...states.keys()], describe }).catch(() => null);
  document.addEventListener("outagemap:fresh", () => {
    read();
    map?.affect();
  });
}
