// What becomes of the answer to "Is it back for you?". The question itself stands in the page before this is loaded:
// see back-first.js.

import { newId } from "./ids.js";
import { solve } from "./proof.js";

const store = globalThis.outagemapBack ?? { read: () => [], write() {}, dueIn: () => null, show: () => false };
const section = document.querySelector("[data-back]");
// setTimeout counts in 32 bits.
const LONGEST = 2 ** 31 - 1;

/** Remembers that somebody said, or (`waiting`) wants to know, how `service` is in `region`: to be asked later. */
export function keep({ service, name, region, place, at, receipt, waiting = false }) {
  const rest = store.read();
  const before = rest.find((one) => one.service === service);
  if (waiting && before?.region === region) return before.yes;
  const yes = newId();
  const one = { service, name, region, place, at: at ?? new Date().toISOString(), told: Date.now(), receipt, yes, waiting };
  store.write([one, ...rest.filter((other) => other.service !== service)]);
  return yes;
}

/** Forgets what was said of `service`: it was answered. */
export function settle(service) {
  store.write(store.read().filter((one) => one.service !== service));
}

function change(service, changes) {
  store.write(store.read().map((one) => (one.service === service ? { ...one, ...changes } : one)));
}

/** Sends a report, solving a challenge where one is asked for; whether it was accepted. */
async function send(address, report, tries = 3) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(report),
    keepalive: true,
  });
  const body = await answer.json().catch(() => ({}));
  if (answer.status === 202) return true;
  if (body.code !== "proof_needed" || !tries) return false;
  const altcha = await solve(body.challenge, new AbortController().signal);
  return altcha ? send(address, { ...report, altcha }, tries - 1) : false;
}

function setUp() {
  const said = section.querySelector("[data-back-said]");
  const buttons = [...section.querySelectorAll("button")];
  let timer = 0;

  const say = (text) => {
    said.textContent = text;
  };

  function done(text) {
    section.dataset.done = "";
    say(text);
  }

  async function answer(kind) {
    const one = store.read().find((each) => each.service === section.dataset.service);
    if (!one) return done("");
    const words = section.dataset;
    if (kind === "never") {
      settle(one.service);
      return done(words.saysNever);
    }
    // Kept until it has arrived: however often it is sent, it counts once.
    const id = kind === "working" ? one.yes : (one.noId ?? newId());
    if (kind === "down") change(one.service, { noId: id });
    buttons.forEach((button) => { button.disabled = true; });
    say(words.saysSending);
    const report = { id, service: one.service, region: one.region, kind };
    const accepted = await send(section.dataset.api, report).catch(() => false);
    buttons.forEach((button) => { button.disabled = false; });
    if (!accepted) return say(words.saysFailed);
    if (kind === "working") settle(one.service);
    else change(one.service, { no: Date.now(), noId: undefined });
    done((kind === "working" ? words.saysWorking : words.saysDown).replace("{service}", one.name));
    return plan();
  }

  // What we see ourselves makes another question of it.
  async function look() {
    const one = store.read().find((each) => each.service === section.dataset.service);
    if (section.hidden || !one) return;
    const address = `${section.dataset.services}${one.service}/back.json?region=${encodeURIComponent(one.region)}`;
    const reply = await fetch(address).catch(() => null);
    if (!reply?.ok) return;
    const { state } = await reply.json();
    section.dataset.state = state === "recovering" || state === "restored" ? state : "down";
  }

  function ask(asked = false) {
    if (!section.hidden && !("done" in section.dataset)) return;
    if (store.show(section, { asked })) {
      say("");
      look();
    }
  }

  // Whoever leaves the page open and comes back to it is asked too: made ready while nobody looks, where that can be.
  function plan() {
    clearTimeout(timer);
    const wait = store.dueIn(section.dataset.back);
    if (wait !== null && document.hidden) timer = setTimeout(ask, Math.min(wait, LONGEST));
  }

  section.addEventListener("click", (event) => {
    const kind = event.target.closest("button")?.value;
    if (kind) answer(kind);
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask();
    plan();
  });
  // The answer was given on the notification.
  navigator.serviceWorker?.addEventListener("message", ({ data }) => {
    if (!data?.answered) return;
    if (data.kind === "working") settle(data.answered);
    else change(data.answered, { no: Date.now() });
    if (data.answered === section.dataset.service && !section.hidden) done(section.dataset.saysThanks);
  });
  addEventListener("hashchange", () => { if (location.hash === "#back") ask(true); });
  look();
}

if (section) setUp();
