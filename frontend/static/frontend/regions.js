// The list of an incident: countries that open, whose rows are loaded when they do; a search and another order, which the
// server answers; and the states of what is in sight, painted as the slider moves.

import { makeSortable } from "./tables.js";
import { byCountry, stateAt, STATES } from "./timeline.js";
import { upgrade } from "./times.js";

// Nobody types a name faster than this.
const PAUSE = 250;

/** The page's address with other parameters; null takes one away. */
function address(changes) {
  const url = new URL(location.href);
  url.hash = "";
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url;
}

async function piece(changes, signal) {
  const answer = await fetch(address(changes), { signal });
  if (!answer.ok) throw new Error(String(answer.status));
  const holder = document.createElement("template");
  holder.innerHTML = await answer.text();
  return holder.content;
}

// As the server marks a country: what is not known is worse than what is back.
const SEVERITY = ["down", "recovering", "unknown", "restored", "normal"];
const worst = (states) => SEVERITY.find((state) => states.includes(state)) ?? "normal";

/**
 * Starts the list. `words` are the page's, `onSelect(code)` hears of a region that was chosen. Answers `{paint(history,
 * minute), select(code), settle()}`; `settle` follows a change of the list by the page's refresh.
 */
export function startList({ words, onSelect }) {
  const form = document.querySelector("[data-order-form]");
  const marks = document.getElementById("marks");
  const list = () => document.querySelector("[data-order]");
  const loaded = new Map();
  const inSight = new Set();
  let shown = null;
  let countries = new Map();
  let selected = null;

  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inSight.add(target);
      else inSight.delete(target);
      if (isIntersecting && shown) paintOne(target);
    }
  }, { rootMargin: "200px" });

  function setMark(place, state) {
    place.querySelector("svg.mark").replaceWith(marks.querySelector(`.mark-${state}`).cloneNode(true));
  }

  function paintRow(row) {
    const region = shown.history.regions.get(row.dataset.region);
    const state = region ? stateAt(region.changes, shown.minute) : "normal";
    if (row.dataset.state === state) return;
    row.dataset.state = state;
    const cell = row.querySelector("[data-state-cell]");
    cell.dataset.value = String(STATES.indexOf(state));
    cell.querySelector("[data-state-word]").textContent = words[state];
    setMark(cell, state);
  }

  function paintCountry(summary) {
    const codes = countries.get(summary.parentElement.dataset.country) ?? [];
    const states = codes.map((code) => stateAt(shown.history.regions.get(code).changes, shown.minute));
    const back = states.filter((state) => state === "restored").length;
    const text = words.backOf.replace("{back}", back).replace("{n}", codes.length);
    const place = summary.querySelector("[data-back]");
    if (place.textContent !== text) place.textContent = text;
    const state = worst(states);
    if (summary.dataset.state === state) return;
    summary.dataset.state = state;
    setMark(summary.querySelector(".group-back"), state);
  }

  const paintOne = (element) => (element.matches("summary") ? paintCountry(element) : paintRow(element));

  function watch() {
    observer.disconnect();
    inSight.clear();
    for (const each of list().querySelectorAll(".group > summary, tr[data-region]")) observer.observe(each);
    markSelected();
  }

  function markSelected() {
    for (const row of list().querySelectorAll("tr[data-region]")) {
      row.toggleAttribute("data-selected", row.dataset.region === selected);
    }
  }

  /** Puts the rows of a country where the link to them was. */
  function place(group, rows) {
    for (const old of [...group.children]) if (!old.matches("summary")) old.remove();
    group.append(...rows.cloneNode(true).childNodes);
    upgrade(group);
    makeSortable(group);
    watch();
  }

  async function load(group) {
    const { country, digest } = group.dataset;
    if (!group.querySelector("[data-load]") && !loaded.has(country)) return;
    const known = loaded.get(country);
    if (known?.digest === digest) return;
    try {
      const found = await piece({ part: "country", open: country, q: null });
      const rows = found.querySelector(`[data-rows="${country}"]`);
      loaded.set(country, { digest: rows.dataset.digest, rows });
      const there = document.getElementById(`country-${country}`);
      if (there) place(there, rows);
    } catch {
      // The link in its place leads to the same rows.
    }
  }

  function settle() {
    for (const group of list().querySelectorAll("details.group[open]")) {
      const known = loaded.get(group.dataset.country);
      // What was there before, at once, so that nothing jumps; then what is new.
      if (known && group.querySelector("[data-load]")) place(group, known.rows);
      load(group);
    }
    watch();
  }

  let asking = null;
  let timer = 0;
  async function ask() {
    asking?.abort();
    asking = new AbortController();
    const chosen = { q: form.elements.q.value.trim(), sort: form.elements.sort.selectedIndex ? form.elements.sort.value : "" };
    window.history.replaceState(null, "", address({ ...chosen, all: null }));
    try {
      const found = await piece({ part: "order" }, asking.signal);
      list().replaceChildren(found);
      upgrade(list());
      makeSortable(list());
      settle();
    } catch (error) {
      if (error.name !== "AbortError") form.submit();
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  form.elements.sort.addEventListener("change", ask);
  form.elements.q.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE);
  });
  document.addEventListener("toggle", (event) => {
    if (!event.target.matches?.("details.group")) return;
    if (event.target.open) load(event.target);
  }, true);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-show]");
    if (button) return onSelect(button.dataset.show);
    const link = event.target.closest("[data-load]");
    const group = link?.closest("details.group");
    if (!group || event.ctrlKey || event.metaKey || event.shiftKey) return undefined;
    event.preventDefault();
    return load(group);
  });

  settle();
  return {
    settle,
    paint(history, minute) {
      if (shown?.history !== history) countries = byCountry(history);
      shown = { history, minute };
      for (const element of inSight) paintOne(element);
      // At the very end the line would only underline the edge.
      const share = minute < history.minutes ? minute / history.minutes : 2;
      list().style.setProperty("--at", share.toFixed(4));
    },
    select(code) {
      selected = code;
      markSelected();
    },
  };
}

export { address, piece };
