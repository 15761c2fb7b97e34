// Says how old a copy of the site is, for as long as somebody looks at it.

import { language } from "./times.js";

const note = document.querySelector("[data-copied-at]");
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function tell() {
  const seconds = Math.max(Math.round((Date.now() - Date.parse(note.dataset.copiedAt)) / 1000), 0);
  const [unit, length] = UNITS.find(([, each]) => seconds >= 2 * each) ?? UNITS[3];
  const words = new Intl.RelativeTimeFormat(language, { numeric: "always" });
  note.querySelector("[data-copied-age]").textContent = ` (${words.format(-Math.floor(seconds / length), unit)})`;
}

if (note) {
  tell();
  setInterval(tell, 10_000);
}
