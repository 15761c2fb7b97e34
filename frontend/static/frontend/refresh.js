// Keeps a page current while somebody looks at it: asks for what changed of its living parts, so that nothing new costs a
// 304. A hidden page asks nothing.

import { here } from "./here.js";
import { Living } from "./living.js";
import { language } from "./times.js";

const main = document.querySelector("main[data-refresh]");
const seconds = Number(main?.dataset.refresh || 0);
const living = new Living();
// Begun with the page itself, as it came: only what changed since has to come.
const [opened] = performance.getEntriesByType("navigation");
let begun = null;
// Whether everything that came is to be seen.
let whole = true;
let timer = 0;
let failures = 0;
let asking = false;
let again = false;
// When the server last said something: before that, the page itself.
let heard = Date.now();
// What the server last wrote into each living part, before any script touched it.
const written = new Map([...document.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part.innerHTML]));

function address() {
  const url = new URL(location.href);
  url.searchParams.set("part", "live");
  if (answersHere() && here()) url.searchParams.set("here", here());
  url.hash = "";
  return url;
}

/** Whether the page tells what is so where its reader is, and its address does not say already where that is. */
function answersHere() {
  const asked = new URLSearchParams(location.search);
  return document.querySelector("[data-here]") && !asked.has("here") && !asked.has("country");
}

/** What the page was made for is not where its reader is: asked for anew at once. */
function catchUp() {
  const made = document.querySelector("[data-here]")?.dataset.here;
  if (answersHere() && here() && here() !== made) ask();
}

function swap(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  let changed = false;
  whole = true;
  for (const next of fresh.querySelectorAll("[data-live]")) {
    const present = document.querySelector(`[data-live="${next.dataset.live}"]`);
    if (!present || written.get(next.dataset.live) === next.innerHTML) continue;
    // Somebody is using what is in there: leave it until they have gone on.
    if (present.contains(document.activeElement) && present.matches(":focus-within")) {
      whole = false;
      continue;
    }
    const open = new Set([...present.querySelectorAll("details[open][id]")].map((details) => details.id));
    written.set(next.dataset.live, next.innerHTML);
    present.replaceChildren(...next.childNodes);
    if ("here" in next.dataset) present.dataset.here = next.dataset.here;
    present.querySelectorAll("details[id]").forEach((details) => { details.open = open.has(details.id); });
    changed = true;
  }
  if (changed) document.dispatchEvent(new CustomEvent("outagemap:fresh"));
}

function say(problem) {
  const note = document.querySelector("[data-connection]");
  if (!note) return;
  note.hidden = !problem;
  if (!problem) return;
  const minutes = Math.floor((Date.now() - heard) / 60_000);
  const ago = new Intl.RelativeTimeFormat(language, { numeric: "always" }).format(-minutes, "minute");
  const time = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(heard);
  note.textContent = note.dataset.words.replace("{time}", time).replace("{ago}", ago);
}

async function ask() {
  if (document.hidden) return;
  // Something else was wanted while an answer was on its way.
  again = asking;
  if (asking) return;
  asking = true;
  try {
    await (begun ??= living.begin(opened?.name ?? location.href));
    // A part that somebody was using is looked at once more.
    if (await living.ask(address()) || !whole) swap(living.text);
    failures = 0;
    heard = Date.now();
  } catch {
    failures += 1;
  } finally {
    asking = false;
  }
  say(failures > 1 || !navigator.onLine);
  if (again) ask();
  else plan();
}

function plan() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(ask, 1000 * Math.min(seconds * 2 ** Math.min(failures, 6), failures ? 60 : 300));
}

if (seconds > 0) {
  addEventListener("offline", () => say(true));
  addEventListener("online", ask);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) ask();
  });
  document.addEventListener("outagemap:here", catchUp);
  plan();
  catchUp();
}
