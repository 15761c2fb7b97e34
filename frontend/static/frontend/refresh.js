// Keeps a page current while somebody looks at it: asks for its living parts again, with the tag of what it has, so
// that nothing new costs a 304. A hidden page asks nothing.

const main = document.querySelector("main[data-refresh]");
const seconds = Number(main?.dataset.refresh || 0);
let tag = null;
let timer = 0;
let failures = 0;
let asking = false;
// The names of the parts that we hold, where the server gives them names: it need not send those again.
let held = null;
// What the server last wrote into each living part, before any script touched it.
const written = new Map([...document.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part.innerHTML]));

function address() {
  const url = new URL(location.href);
  url.searchParams.set("part", "live");
  url.hash = "";
  return url;
}

function swap(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  let changed = false;
  let whole = true;
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
    present.querySelectorAll("details[id]").forEach((details) => { details.open = open.has(details.id); });
    changed = true;
  }
  if (changed) document.dispatchEvent(new CustomEvent("outagemap:fresh"));
  return whole;
}

function say(problem) {
  const note = document.querySelector("[data-connection]");
  if (note) note.hidden = !problem;
}

async function ask() {
  if (asking || document.hidden) return;
  asking = true;
  try {
    const headers = { ...(tag && { "If-None-Match": tag }), ...(held && { "Pieces-Held": held }) };
    const answer = await fetch(address(), { headers, cache: "no-store" });
    if (answer.status === 200) {
      const whole = swap(await answer.text());
      // A part that was left as it is has to come once more.
      tag = whole ? answer.headers.get("ETag") : null;
      held = whole ? answer.headers.get("Pieces") : null;
    } else if (answer.status !== 304) {
      throw new Error(String(answer.status));
    }
    failures = 0;
  } catch {
    failures += 1;
  } finally {
    asking = false;
  }
  say(failures > 1);
  plan();
}

function plan() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(ask, 1000 * Math.min(seconds * 2 ** failures, 300));
}

if (seconds > 0) {
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) ask();
  });
  plan();
}
