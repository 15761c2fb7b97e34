// Reporting without leaving the page. "It is down for me" asks what fails with one more tap, but does not depend on it:
// whoever goes away or waits has been counted all the same. Without this module the form posts as a form.

import { keep, settle } from "./back.js";
import { newId } from "./ids.js";
import { setUpPlace } from "./where.js";
import { solve } from "./proof.js";
import { askToBeTold, canBeTold } from "./tell.js";

const form = document.querySelector("form[data-report]");
// How long the question of what fails may stay unanswered.
const PATIENCE = 15000;

function setUp() {
  const words = JSON.parse(form.dataset.words);
  const answer = form.querySelector("[data-answer]");
  const kinds = [...form.querySelectorAll("button[name=kind]")];
  const problems = form.querySelector("[data-problems]");
  const place = setUpPlace(form, { preset: "preset" in form.dataset });
  let waiting = null;
  let checking = null;

  // The API speaks English, with particulars; other pages say it in their own language.
  const worded = (theirs, ours) => (document.documentElement.lang === "en" && theirs) || ours;

  const say = (text, failed = false) => {
    answer.classList.toggle("error", failed);
    answer.textContent = text;
  };

  async function send(report, { leaving = false, tries = 3 } = {}) {
    checking?.abort();
    checking = null;
    if (!leaving) say(words.sending);
    let reply;
    try {
      reply = await fetch(form.dataset.api, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json" },
        body: JSON.stringify(report),
        keepalive: true,
      });
    } catch {
      return retryLater(report, words.offline);
    }
    const body = await reply.json().catch(() => ({}));
    if (reply.status === 202) return thank(report, body);
    if (body.code === "proof_needed" && tries > 0) return prove(report, body.challenge, tries - 1);
    if (reply.status === 429) return retryLater(report, worded(body.detail, words.tooMany));
    if (reply.status === 403 || reply.status >= 500) return retryLater(report, words.busy);
    return say(worded(Object.values(body).flat().join(" "), words.refused), true);
  }

  // So many reports are coming that a program is asked to work for each. A browser does, and its reader may stop it.
  async function prove(report, challenge, tries) {
    const { altcha, ...plain } = report;
    checking = new AbortController();
    const { signal } = checking;
    say(`${words.checking} `);
    offer(words.cancel, () => {
      checking?.abort();
      retryLater(plain, words.cancelled);
    });
    const solution = await solve(challenge, signal);
    if (signal.aborted) return;
    if (!solution) return retryLater(plain, words.busy);
    return send({ ...plain, altcha: solution }, { tries });
  }

  function offer(text, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "text-button";
    button.textContent = text;
    button.addEventListener("click", act);
    answer.append(button);
  }

  function thank(report, body) {
    kinds.forEach((button) => button.setAttribute("aria-pressed", String(button.value === report.kind)));
    say(`${report.kind === "down" ? words.countedDown : words.countedWorking} ${words.receipt}`);
    if (report.kind === "working") return settle(body.service);
    const what = said(body);
    keep(what);
    if (canBeTold()) {
      answer.append(" ");
      offer(words.tell, (event) => tell(what, event.target));
    }
    return undefined;
  }

  async function tell(what, button) {
    button.disabled = true;
    const outcome = await askToBeTold(what);
    button.replaceWith(words[outcome]);
  }

  // What was said and where, in the words of the page: the question whether it is back repeats them.
  function said({ service, region: code, received_at: at, receipt }) {
    const { country, region: part } = form.elements;
    const chosen = [...part.options, ...country.options].find((option) => option.value === code && code !== "001");
    return { service, name: form.dataset.name, region: code, place: chosen?.dataset.within ?? chosen?.text ?? "", at, receipt };
  }

  function retryLater(report, why) {
    say(`${why} `, true);
    // The same id: however often it is sent, it counts once.
    offer(words.again, () => send(report));
  }

  function finish(problem, options) {
    if (!waiting) return;
    clearTimeout(waiting.timer);
    const { report } = waiting;
    waiting = null;
    delete problems.dataset.open;
    send(problem ? { ...report, problem } : report, options);
  }

  function ask(report) {
    waiting = { report, timer: setTimeout(() => finish(), PATIENCE) };
    problems.dataset.open = "";
    say(words.ask);
  }

  // What was a set of radio buttons for the plain form becomes one button for each answer.
  const choices = problems.querySelector(".choices");
  choices.replaceChildren(...[...choices.querySelectorAll("label")].map((label) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button-quiet";
    button.textContent = label.textContent.trim();
    button.addEventListener("click", () => finish(label.querySelector("input").value));
    return button;
  }));
  // One is asked after the first tap, so it stands after the buttons.
  form.querySelector(".report-kinds").after(problems);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const kind = event.submitter?.value ?? "down";
    kinds.forEach((button) => button.setAttribute("aria-pressed", String(button.value === kind)));
    if (waiting) clearTimeout(waiting.timer);
    waiting = null;
    delete problems.dataset.open;
    const report = { id: newId(), service: form.dataset.service, region: place.code(), kind };
    if (kind === "down" && choices.children.length) ask(report);
    else send(report);
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) finish(undefined, { leaving: true });
  });
  const tells = form.querySelector("[data-tell]");
  tells?.addEventListener("click", () => {
    if (canBeTold()) tell(said({ service: form.dataset.service, region: place.code() }), tells);
    else tells.replaceWith(words.failed);
  });
}

if (form) setUp();
