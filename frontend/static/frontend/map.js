// The map: starts Leaflet on an element that carries the addresses of everything it needs, loads as little of the
// boundaries as the view asks for, and colours them by state. Without this module the page has a drawing and a table.

import { regionLayerClass } from "./region-layer.js";
import { grow, shapes } from "./topology.js";

// Up to so many affected countries are loaded one by one; more of them, and one file of all regions is lighter.
const FEW_COUNTRIES = 4;
// From this zoom on, the fine shapes of affected countries in view are loaded.
const FINE_FROM = 4.5;
const WORLD = [[-53, -168], [74, 178]];
const PATTERN_SIDE = 7;
const PATTERN_FINENESS = 2;
const STATES = ["down", "recovering", "restored", "unknown", "normal"];

const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A pattern on the colour that it lies on, so that a region is filled once. */
function pattern(colour, draw) {
  const canvas = document.createElement("canvas");
  canvas.width = PATTERN_SIDE * PATTERN_FINENESS;
  canvas.height = PATTERN_SIDE * PATTERN_FINENESS;
  const context = canvas.getContext("2d");
  context.scale(PATTERN_FINENESS, PATTERN_FINENESS);
  context.fillStyle = colour;
  context.fillRect(0, 0, PATTERN_SIDE, PATTERN_SIDE);
  draw(context);
  return context.createPattern(canvas, "repeat");
}

/** Lines across a pattern's square, so that they go on in the next one. */
function lines(context, colour, width, draw) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  for (const shift of [-PATTERN_SIDE, 0, PATTERN_SIDE]) draw(shift);
  context.stroke();
}

/**
 * The colours of the style sheet, and a pattern for what must not hang on colour alone. `fills` are further ones, by the
 * variable that holds each, `patterned` the pattern over some of them: `hatch`, `dots` or `bars`.
 */
function readTheme(fills, patterned) {
  const states = Object.fromEntries(STATES.map((state) => [state, `--state-${state}`]));
  const drawn = {
    hatch: (context) => lines(context, variable("--hatch"), 0.9, (shift) => {
      context.moveTo(shift - 1, PATTERN_SIDE + 1);
      context.lineTo(shift + PATTERN_SIDE + 1, -1);
    }),
    bars: (context) => lines(context, variable("--paper"), 1.1, (shift) => {
      context.moveTo(0, PATTERN_SIDE / 2 + shift);
      context.lineTo(PATTERN_SIDE, PATTERN_SIDE / 2 + shift);
    }),
    dots: (context) => {
      context.fillStyle = variable("--dots");
      context.arc(PATTERN_SIDE / 2, PATTERN_SIDE / 2, 1.2, 0, 2 * Math.PI);
      context.fill();
    },
  };
  const named = { unknown: "hatch", recovering: "dots", ...patterned };
  const colours = Object.fromEntries(Object.entries({ ...states, ...fills }).map(([fill, name]) => [fill, variable(name)]));
  return {
    fills: colours,
    patterns: Object.fromEntries(Object.entries(named).map(([fill, name]) => [fill, pattern(colours[fill], drawn[name])])),
    patternFineness: PATTERN_FINENESS,
    inner: variable("--border-inner"),
    outer: variable("--border-outer"),
    ink: variable("--ink"),
    halo: variable("--paper"),
  };
}

function loadScript(source) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = source;
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    document.head.append(script);
  });
}

function loadStyle(source) {
  return new Promise((resolve) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = source;
    link.addEventListener("load", resolve);
    link.addEventListener("error", resolve);
    // Before the site's own sheet, which has the last word.
    document.head.prepend(link);
  });
}

const loadShapes = async (source) => shapes(await (await fetch(source)).json());

/** Resolves when `element` is about to come into view. */
function nearView(element) {
  return new Promise((resolve) => {
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      resolve();
    }, { rootMargin: "300px" });
    observer.observe(element);
  });
}

/** Tells `onView` of views that the reader chose by hand, not of those that the page chose. */
function tellView(map, container, onView) {
  let byHand = false;
  for (const act of ["pointerdown", "wheel", "keydown", "touchstart"]) {
    container.addEventListener(act, () => { byHand = true; }, { passive: true, capture: true });
  }
  map.on("moveend", () => {
    if (byHand) onView({ centre: map.getCenter(), zoom: map.getZoom() });
  });
  map.on("outagemap:framed", () => { byHand = false; });
}

/**
 * Starts the map in `element`, whose data attributes name the files. `stateOf(code)` answers the state of a region, or
 * one of the further `fills` (see `readTheme`), `affected` the codes that the first view shows, `describe(code, name)` the
 * two lines of the tip, `onPick(code)` hears of a click, `onView({centre, zoom})` of a view that the reader chose, and
 * `view` is one to begin with. Answers `{recolour, select, affect}`.
 */
export async function startMap(element, { stateOf, affected, describe, onPick, onView, view, fills, patterned }) {
  const files = element.dataset;
  const fineFiles = JSON.parse(files.fine || "{}");
  let codes = affected();
  const divided = () => new Set(codes.filter((code) => code.length > 2).map((code) => code.slice(0, 2)));
  // Where regions all over the world are affected, their file is needed at once and has the countries in it.
  const base = divided().size > FEW_COUNTRIES ? "regions" : "countries";
  await nearView(element);
  const [baseShapes] = await Promise.all([
    loadShapes(files[base]), loadStyle(files.leafletStyle), window.L ?? loadScript(files.leaflet),
  ]);
  const L = window.L;
  element.replaceChildren();
  const container = document.createElement("div");
  container.className = files.wide === undefined ? "map" : "map map-wide";
  element.append(container);

  let theme = readTheme(fills, patterned);
  const map = L.map(container, {
    attributionControl: false,
    zoomSnap: 0.25,
    minZoom: 0,
    maxZoom: 8,
    maxBounds: [[-85, -220], [85, 220]],
    maxBoundsViscosity: 0.8,
    scrollWheelZoom: false,
    zoomAnimation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    fadeAnimation: false,
    inertia: false,
  });
  container.setAttribute("role", "region");
  container.setAttribute("aria-label", files.label);
  container.setAttribute("aria-describedby", files.describedby);
  // One finger scrolls the page, two move the map; the wheel zooms only a map that was chosen.
  if (matchMedia("(pointer: coarse)").matches) map.dragging.disable();
  map.on("focus", () => map.scrollWheelZoom.enable());
  map.on("blur", () => map.scrollWheelZoom.disable());

  const RegionLayer = regionLayerClass(L);
  const layer = new RegionLayer({ stateOf, theme: () => theme });
  layer.setSheet(base, baseShapes);
  // At or above the least zoom: raising it would start an animation that outlasts the first view.
  map.setView([24, 10], 2);
  map.setMinZoom(Math.min(map.getBoundsZoom(WORLD), 2));

  const latLng = (x, y) => map.unproject([x, y], 0);
  const frame = (codes) => {
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    for (const code of codes) {
      const found = layer.boxOf(code);
      if (found) grow(box, found);
    }
    if (!(box[2] > box[0]) || box[2] - box[0] > 190) return map.fitBounds(WORLD, { animate: false });
    return map.fitBounds([latLng(box[0], box[3]), latLng(box[2], box[1])], {
      animate: false, padding: [24, 24], maxZoom: 6.5,
    });
  };

  const loading = new Set([base]);
  const load = async (which, source) => {
    if (loading.has(which) || !source) return;
    loading.add(which);
    try {
      layer.setSheet(which, await loadShapes(source));
    } catch {
      // The coarser shapes stay; the next movement of the map asks again.
      loading.delete(which);
    }
  };

  const loadNeeded = async () => {
    const needed = [...divided()];
    const close = map.getZoom() >= FINE_FROM;
    if (needed.length <= FEW_COUNTRIES && needed.every((country) => fineFiles[country])) {
      await Promise.all(needed.map((country) => load(country, fineFiles[country])));
      if (close) await load("regions", files.regions);
    } else if (needed.length || close) {
      await load("regions", files.regions);
      if (!close) return;
      const inView = needed.filter((country) => {
        const box = layer.boxOf(country);
        return box && layer.inView(box);
      });
      await Promise.all(inView.map((country) => load(country, fineFiles[country])));
    }
  };
  frame(codes);
  map.addLayer(layer);
  map.on("moveend", loadNeeded);

  let names = null;
  const nameOf = async (code) => {
    names ??= await fetch(files.names).then((answer) => answer.json()).catch(() => ({}));
    return names[code]?.[0] ?? code;
  };
  const tip = document.createElement("div");
  tip.className = "map-tip";
  tip.hidden = true;
  element.append(tip);
  let tipCode = null;
  const showTip = async ({ code, containerPoint }) => {
    tipCode = code;
    if (!code) {
      tip.hidden = true;
      return;
    }
    const [title, line] = describe(code, await nameOf(code));
    if (tipCode !== code) return;
    const heading = document.createElement("b");
    heading.textContent = title;
    tip.replaceChildren(heading, line);
    tip.hidden = false;
    const room = map.getSize();
    const x = Math.min(containerPoint.x + 14, room.x - tip.offsetWidth - 4);
    const below = containerPoint.y + 18 + tip.offsetHeight < room.y;
    const y = below ? containerPoint.y + 18 : containerPoint.y - tip.offsetHeight - 10;
    tip.style.transform = `translate(${Math.max(x, 4)}px, ${Math.max(y, 4)}px)`;
  };
  layer.on("regionover", showTip);
  layer.on("regionout", () => showTip({ code: null }));
  layer.on("regionpick", (event) => {
    showTip(event);
    onPick?.(event.code);
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    theme = readTheme(fills, patterned);
    layer.repaint();
  });
  new ResizeObserver(() => map.invalidateSize({ pan: false })).observe(container);

  await loadNeeded();
  if (view) map.setView(view.centre, view.zoom, { animate: false });
  else frame(codes);
  if (onView) tellView(map, container, onView);
  element.dataset.ready = "";
  return {
    map,
    layer,
    recolour: () => layer.recolour(),
    /** Outlines a region and, where `show`, brings it into view. */
    select(code, show = false) {
      layer.select(code);
      if (!show || !code) return;
      map.fire("outagemap:framed");
      frame([code]);
    },
    /** Takes another set of affected regions, loading what it needs; the view stays. */
    async affect() {
      codes = affected();
      layer.recolour();
      await loadNeeded();
    },
  };
}
