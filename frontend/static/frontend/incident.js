// The incident's player: one slider moves the map, the strip's cursor, the list and the counts through the history.

import { Living } from "./living.js";
import { startMap } from "./map.js";
import { startMine } from "./mine.js";
import { FILLS, MODES, PATTERNS, rateFill, restoreFills } from "./modes.js";
import { startList } from "./regions.js";
import { dateAt, decode, minuteAt, statesAt, stepAt, steps, tally, until, STATES } from "./timeline.js";
import { comma, differsFromUtc, language, localClock, localDay, utcClock } from "./times.js";

// A screen reader is told where the slider is at most this often while it plays.
const SAY_EVERY = 4000;
const still = matchMedia("(prefers-reduced-motion: reduce)");
const player = document.querySelector("[data-player]");

async function setUp() {
  const section = document.querySelector("[data-course]");
  const slider = player.querySelector("input[type=range]");
  const play = player.querySelector("[data-play]");
  const clock = document.querySelector("[data-clock]");
  const live = document.querySelector("[data-say]");
  const mapElement = document.querySelector("[data-incident-map]");
  const words = JSON.parse(player.dataset.words);
  const asked = new URL(location.href).searchParams;
  const strip = () => document.querySelector("[data-strip]").dataset;
  let mode = MODES.includes(asked.get("mode")) ? asked.get("mode") : MODES[0];
  let states = new Map();
  let rates = null;
  const rated = new Living();
  let restored = new Map();
  let map = null;
  let timer = 0;
  let said = 0;
  let frame = 0;
  let wanted = 0;
  let selected = asked.get("region");

  const list = startList({ words, onSelect: (code) => select(code, true) });
  const told = new Living();
  await told.ask(player.dataset.history);
  let history = decode(JSON.parse(told.text));
  const breaks = () => JSON.parse(document.querySelector("[data-breaks]").dataset.breaks);
  restored = restoreFills(history, breaks());

  // What was decided for the region itself, else for the one above that stands for it.
  const stateOf = (code) => states.get(code) ?? states.get(history.covers.get(code)) ?? "normal";
  const fillOf = (code) => {
    if (mode === "state") return stateOf(code);
    const known = history.regions.has(code) ? code : history.covers.get(code);
    if (!known) return "normal";
    if (mode === "restore") return restored.get(known) ?? "normal";
    return rates ? rateFill(rates[known], Number(slider.value)) : "normal";
  };

  const clockText = (date) => {
    const sameYear = date.getFullYear() === new Date().getFullYear();
    const local = differsFromUtc(date) ? `${localClock(date)} (${utcClock(date)} UTC)` : `${utcClock(date)} UTC`;
    return `${localDay(date, !sameYear)}${comma}${local}`;
  };

  const summary = (date, counts) => [
    `${utcClock(date)} UTC`, ...STATES.slice(0, 3).map((state) => `${counts[state]} ${words[state].toLowerCase()}`),
  ].join(", ");

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
      if (place) place.textContent = counts[state].toLocaleString(language);
    }
    for (const link of document.querySelectorAll("[data-moment]")) {
      if (stepAt(history, new Date(link.dataset.moment)) === number) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    list.paint(history, minute);
    if (mode !== "restore") map?.recolour();
    if (!quietly && Date.now() - said > SAY_EVERY && timer) {
      said = Date.now();
      live.textContent = summary(date, counts);
    }
  }

  /** Shows a step with the next picture of the screen: a slider may tell of more steps than there are pictures. */
  function showSoon(number) {
    wanted = number;
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      show(wanted, { quietly: true });
    });
  }

  /** The address of what is to be seen; `pinned` names the time even where it is the latest. */
  function here({ pinned = false } = {}) {
    const url = new URL(location.href);
    const put = (name, value) => (value ? url.searchParams.set(name, value) : url.searchParams.delete(name));
    const number = Number(slider.value);
    const atEnd = number >= steps(history);
    put("t", (pinned && mode !== "restore") || !atEnd ? `${dateAt(history, number).toISOString().slice(0, 16)}Z` : "");
    put("mode", mode === MODES[0] ? "" : mode);
    put("region", selected);
    return url;
  }

  /** The address says where one is, so that it can be passed on. */
  const remember = () => window.history.replaceState(null, "", here());

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

  async function setMode(chosen) {
    if (timer) stop();
    mode = chosen;
    section.dataset.mode = mode;
    for (const radio of document.querySelectorAll("[data-modes] input[type=radio]")) radio.checked = radio.value === mode;
    slider.disabled = mode === "restore";
    play.disabled = slider.disabled;
    if (mode === "rate") await loadRates();
    map?.recolour();
  }

  async function loadRates() {
    try {
      if (await rated.ask(player.dataset.rates)) rates = JSON.parse(rated.text).regions;
    } catch {
      live.textContent = words.noRate;
    }
  }

  function select(code, showOnMap) {
    selected = code;
    list.select(code);
    map?.select(code, showOnMap);
    remember();
    if (showOnMap) mapElement.scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
  }

  /** Follows what the page's refresh brought: nothing new but the time, what changed, or all of it. */
  async function follow() {
    const { version, end } = strip();
    const atEnd = Number(slider.value) >= steps(history);
    const date = dateAt(history, Number(slider.value));
    if (version !== history.version) {
      await told.ask(player.dataset.history);
      history = decode(JSON.parse(told.text));
      restored = restoreFills(history, breaks());
    } else {
      history = until(history, new Date(end));
    }
    if (mode === "rate") await loadRates();
    slider.max = String(steps(history));
    show(atEnd ? steps(history) : stepAt(history, date), { quietly: true });
    await map?.affect();
  }

  play.addEventListener("click", () => (timer ? stop() : start()));
  slider.addEventListener("keydown", (event) => {
    if (event.key !== " ") return;
    event.preventDefault();
    play.click();
  });
  slider.addEventListener("input", () => {
    if (timer) stop();
    showSoon(Number(slider.value));
  });
  slider.addEventListener("change", () => {
    show(Number(slider.value), { quietly: true });
    remember();
  });
  document.querySelector("[data-modes]").addEventListener("change", async (event) => {
    await setMode(event.target.value);
    remember();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-moment]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (timer) stop();
    if (mode === "restore") setMode("state");
    show(stepAt(history, new Date(link.dataset.moment)), { quietly: true });
    remember();
    mapElement.scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
  });
  document.addEventListener("outagemap:fresh", () => {
    list.settle();
    mine.settle();
    follow().catch(() => {});
  });

  const copied = document.querySelector("[data-copied]");
  document.querySelector("[data-copy]").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(here({ pinned: true }).href);
      copied.textContent = words.copied;
    } catch {
      window.history.replaceState(null, "", here({ pinned: true }));
      copied.textContent = words.copyFailed;
    }
  });
  const share = document.querySelector("[data-share-page]");
  share.hidden = !navigator.share;
  share.addEventListener("click", () => {
    navigator.share({ title: document.title, url: here({ pinned: true }).href }).catch(() => {});
  });

  const time = new Date(asked.get("t") ?? NaN);
  slider.max = String(steps(history));
  show(Number.isNaN(time.getTime()) ? steps(history) : stepAt(history, time), { quietly: true });
  await setMode(mode);
  list.select(selected);
  let outlined = selected;
  const mine = startMine({
    onRegion(code) {
      outlined = code;
      if (selected) return;
      list.select(code);
      map?.select(code, false);
    },
  });

  const [latitude, longitude] = (asked.get("c") ?? "").split(",").map(Number);
  const zoom = Number(asked.get("z"));
  const view = zoom > 0 && Number.isFinite(latitude) && Number.isFinite(longitude)
    ? { centre: [latitude, longitude], zoom } : null;
  const affected = () => [...history.regions.keys()].filter((code) => code !== "001");
  const describe = (code, name) => [history.regions.get(code)?.name ?? name, lineOf(code)];
  const lineOf = (code) => {
    const fill = fillOf(code);
    if (mode === "rate" && fill !== "normal") return words.rates[fill];
    const key = mode === "restore" && document.querySelector(`[data-for-mode="restore"] .fill-${fill}`);
    return key ? key.closest("li").textContent.trim() : words[stateOf(code)];
  };
  const onView = ({ centre, zoom: chosen }) => {
    const url = here();
    url.searchParams.set("c", `${centre.lat.toFixed(2)},${centre.lng.toFixed(2)}`);
    url.searchParams.set("z", String(chosen));
    window.history.replaceState(null, "", url);
  };
  try {
    map = await startMap(mapElement, {
      stateOf: fillOf, affected, describe, onView, view, fills: FILLS, patterned: PATTERNS, onPick: (code) => select(code, false),
    });
    map.recolour();
    if (outlined) map.select(outlined, outlined === selected && !view);
  } catch {
    // The strip, the list and the table tell the same; the place of the map says that it did not load.
    const wait = mapElement.querySelector("[data-wait]");
    if (wait) wait.textContent = wait.dataset.failed;
  }
}

if (player) setUp();
