// Keeps whoever is on duty informed without moving a card under their hands: asks every few seconds which incidents wait,
// with the tag of the last answer, and offers to show what is new. A hidden page asks nothing.

const desk = document.querySelector("[data-changes]");
const news = desk?.querySelector("[data-news]");
const shown = new Map(
  [...(desk?.querySelectorAll("[data-incident]") ?? [])].map((one) => [one.dataset.incident, one.dataset.mark]),
);
const seconds = Number(desk?.dataset.askAgain);
let tag = null;
let timer = 0;
let failures = 0;

/** "2 new incidents, 1 changed, 1 no longer waits"; empty where nothing is. */
export function difference(before, now) {
  const fresh = [...now.keys()].filter((id) => !before.has(id)).length;
  const changed = [...now].filter(([id, mark]) => before.has(id) && before.get(id) !== mark).length;
  const gone = [...before.keys()].filter((id) => !now.has(id)).length;
  return [
    fresh && `${fresh} new incident${fresh > 1 ? "s" : ""}`,
    changed && `${changed} changed`,
    gone && `${gone} no longer wait${gone > 1 ? "" : "s"}`,
  ].filter(Boolean).join(", ");
}

/** Says it with a link to look, once: what is read out aloud must not be repeated every few seconds. */
function say(words, link) {
  if (news.dataset.said === words) return;
  news.dataset.said = words;
  news.replaceChildren(words && link ? `${words}: ` : words);
  if (!words || !link) return;
  const anchor = document.createElement("a");
  anchor.href = location.pathname;
  anchor.textContent = link;
  news.append(anchor);
}

async function ask() {
  try {
    const headers = tag ? { "If-None-Match": tag } : {};
    const answer = await fetch(desk.dataset.changes, { headers, cache: "no-store", redirect: "manual" });
    if (answer.type === "opaqueredirect" || answer.status === 403) {
      say("You are signed out", "sign in again");
      return;
    }
    if (answer.status === 200) {
      tag = answer.headers.get("ETag");
      const words = difference(shown, new Map(Object.entries((await answer.json()).incidents)));
      say(words, "show them");
    } else if (answer.status !== 304) {
      throw new Error(String(answer.status));
    } else if (failures > 1) {
      // What was said of the connection is no longer so.
      tag = null;
      say("");
    }
    failures = 0;
  } catch {
    failures += 1;
    if (failures > 1) say("The site does not answer: what is new cannot be shown", "try again");
  }
  plan();
}

function plan() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(ask, 1000 * Math.min(seconds * 2 ** Math.min(failures, 3), 60));
}

/** From card to card with j and k, where the focus is on a card already and nothing is being typed. */
function step(event) {
  const card = event.target.closest?.("[data-incident]");
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (!card || typing || event.ctrlKey || event.metaKey || event.altKey || !["j", "k"].includes(event.key)) return;
  const cards = [...desk.querySelectorAll("article[data-incident]")];
  const next = cards[cards.indexOf(card) + (event.key === "j" ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

if (desk) {
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) ask();
  });
  desk.addEventListener("keydown", step);
  plan();
}
