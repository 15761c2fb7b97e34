// The desk's map of regions: one is shown with what lies beside it, and a click on another leads to its page.

import { startMap } from "../frontend/map.js";

const element = document.querySelector("[data-region-map]");

if (element) {
  const { of, normal } = element.dataset;
  const shown = new Set(JSON.parse(element.dataset.shown));
  const beside = new Set(JSON.parse(element.dataset.beside || "[]"));
  const kind = (code) => (shown.has(code) ? "chosen" : beside.has(code) ? "beside" : "normal");
  await startMap(element, {
    stateOf: kind,
    affected: () => [...shown],
    describe: (code, name) => [`${name} (${code})`, kind(code) === "chosen" ? element.dataset.chosen : normal],
    onPick: (code) => {
      if (code) location.assign(of.replace("CODE", encodeURIComponent(code)));
    },
    fills: { chosen: "--map-chosen", beside: "--map-beside" },
    patterned: { beside: "dots" },
  }).catch(() => {
    const wait = element.querySelector("[data-wait]");
    if (wait) wait.textContent = wait.dataset.failed;
  });
}
