// The incident's player: one slider moves the map, the strip's cursor, the table and the counts through the history.

import { startMap } from "./map.js";
import { dateAt, decode, minuteAt, stateAt, statesAt, stepAt, steps, tally, STATES } from "./timeline.js";
import { differsFromUtc, localClock, localDay, utcClock } from "./times.js";

// A screen reader is told where the slider is at most this often while it plays.
const SAY_EVERY = 4000;
const still = matchMedia("(prefers-reduced-motion: reduce)");
const player = document.querySelector("[data-player]");

function setUp() {
  const slider = player.querySelector("input[type=range]");
  const play = player.querySelector("[data-play]");
  const clock = document.querySelector("[data-clock]");
  const live = document.querySelector("[data-say]");
  const mapElement = document.querySelector("[data-incident-map]");
  const words = JSON.parse(player.dataset.words);
  const url = new URL(location.href);
  let history = decode(JSON.parse(document.getElementById("history").textContent));
  let states = new Map();
  let map = null;
  let timer = 0;
  let said = 0;
  let selected = url.searchParams.get("region");

  // What was decided for the region itself, else for the one above that stands for it.
  const stateOf = (code) => states.get(code) ?? states.get(history.covers.get(code)) ?? "normal";

  const clockText = (date) => {
    const sameYear = date.getFullYear() === new Date().getFullYear();
    const local = differsFromUtc(date) ? `${localClock(date)} (${utcClock(date)} UTC)` : `${utcClock(date)} UTC`;
    return `${localDay(date, !sameYear)}, ${local}`;
  };

  const summary = (date, counts) => [
    `${utcClock(date)} UTC`, ...STATES.slice(0, 3).map((state) => `${counts[state]} ${words[state].toLowerCase()}`),
  ].join(", ");

  function paintTable(minute) {
    for (const row of document.querySelectorAll("tr[data-region]")) {
      const region = history.regions.get(row.dataset.region);
      const state = region ? stateAt(region.changes, minute) : "normal";
      if (row.dataset.state === state) continue;
      row.dataset.state = state;
      const cell = row.querySelector("[data-state-cell]");
      cell.dataset.value = String(STATES.indexOf(state));
      cell.querySelector("[data-state-word]").textContent = words[state];
      cell.querySelector("svg").replaceWith(document.querySelector(`#marks .mark-${state}`).cloneNode(true));
    }
    // At the very end the line would only underline the edge.
    const share = minute < history.minutes ? minute / history.minutes : 2;
    document.querySelector("[data-regions-table]")?.style.setProperty("--at", share.toFixed(4));
  }

  function show(number, { quietly = false } = {}) {
    const minute = minuteAt(history, number);
    const date = dateAt(history, number);
    states = statesAt(history, minute);
    const counts = tally(history, states);
    slider.value = String(number);
    slider.setAttribute("aria-valuetext", summary(date, counts));
    clock.textContent = clockText(date);
    for (const state of STATES) {
      const place = document.querySelector(`[data-count="${state}"]`);
      if (place) place.textContent = counts[state].toLocaleString();
    }
    paintTable(minute);
    map?.recolour();
    if (!quietly && Date.now() - said > SAY_EVERY && timer) {
      said = Date.now();
      live.textContent = summary(date, counts);
    }
  }

  /** The address says where one is, so that it can be passed on. */
  function remember() {
    const number = Number(slider.value);
    const atEnd = number >= steps(history);
    if (atEnd) url.searchParams.delete("t");
    else url.searchParams.set("t", `${dateAt(history, number).toISOString().slice(0, 16)}Z`);
    if (selected) url.searchParams.set("region", selected);
    else url.searchParams.delete("region");
    window.history.replaceState(null, "", url);
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    play.setAttribute("aria-pressed", "false");
    play.setAttribute("aria-label", words.play);
    remember();
  }

  function start() {
    if (Number(slider.value) >= steps(history)) show(0);
    play.setAttribute("aria-pressed", "true");
    play.setAttribute("aria-label", words.pause);
    // The whole history in about twelve seconds; slowly, and without haste, for who asked for less motion.
    const pause = still.matches ? 900 : Math.max(Math.min(12000 / steps(history), 300), 60);
    timer = setInterval(() => {
      show(Number(slider.value) + 1);
      if (Number(slider.value) >= steps(history)) stop();
    }, pause);
  }

  function markSelected() {
    for (const row of document.querySelectorAll("tr[data-region]")) {
      row.toggleAttribute("data-selected", row.dataset.region === selected);
    }
  }

  function select(code, showOnMap) {
    selected = code;
    markSelected();
    map?.select(code, showOnMap);
    remember();
  }

  play.addEventListener("click", () => (timer ? stop() : start()));
  slider.addEventListener("input", () => {
    if (timer) stop();
    show(Number(slider.value), { quietly: true });
  });
  slider.addEventListener("change", remember);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-show]");
    if (!button) return;
    select(button.dataset.show, true);
    mapElement.scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
  });
  document.addEventListener("outagemap:fresh", () => {
    const atEnd = Number(slider.value) >= steps(history);
    const date = dateAt(history, Number(slider.value));
    history = decode(JSON.parse(document.getElementById("history").textContent));
    slider.max = String(steps(history));
    markSelected();
    show(atEnd ? steps(history) : stepAt(history, date), { quietly: true });
    map?.affect();
  });

  const asked = new Date(url.searchParams.get("t") ?? NaN);
  slider.max = String(steps(history));
  show(Number.isNaN(asked.getTime()) ? steps(history) : stepAt(history, asked), { quietly: true });
  markSelected();

  const affected = () => [...history.regions.keys()].filter((code) => code !== "001");
  const describe = (code, name) => [history.regions.get(code)?.name ?? name, words[stateOf(code)]];
  startMap(mapElement, { stateOf, affected, describe, onPick: (code) => select(code, false) }).then((started) => {
    map = started;
    map.recolour();
    if (selected) map.select(selected, true);
  }).catch(() => {
    // The strip, the list and the table tell the same; the place of the map says that it did not load.
    const wait = mapElement.querySelector("[data-wait]");
    if (wait) wait.textContent = wait.dataset.failed;
  });
}

if (player) setUp();
