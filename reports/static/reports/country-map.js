// Countries of a form chosen on a map: a click puts a country into the field or takes it out. What counts is the field.

import { startMap } from "../frontend/map.js";

const element = document.querySelector("[data-country-map]");
const field = element && document.getElementById(element.dataset.field);

if (element && field) {
  const several = element.dataset.several === "1";
  const chosen = () => field.value.toUpperCase().split(/[\s,]+/).filter(Boolean);
  const stateOf = (code) => (chosen().includes(code.slice(0, 2)) ? "chosen" : "normal");
  const said = element.parentElement.querySelector("[data-said]");
  const map = await startMap(element, {
    stateOf,
    affected: chosen,
    describe: (code, name) => [`${name} (${code.slice(0, 2)})`, stateOf(code) === "chosen" ? element.dataset.chosen : element.dataset.normal],
    onPick: (code) => {
      if (!code || field.readOnly || field.disabled) return;
      const country = code.slice(0, 2);
      const now = chosen();
      if (now.includes(country)) field.value = now.filter((each) => each !== country).join(",");
      else field.value = several ? [...now, country].sort().join(",") : country;
      said.textContent = field.value || element.dataset.none;
      map.recolour();
    },
    fills: { chosen: "--map-chosen" },
  }).catch(() => {
    const wait = element.querySelector("[data-wait]");
    if (wait) wait.textContent = wait.dataset.failed;
    return null;
  });
  field.addEventListener("input", () => map?.recolour());
}
