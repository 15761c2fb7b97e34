// A Leaflet layer of regions on canvas. One path a region, built once; a view is a transformation of them. Two canvases
// lie on each other: fills, of which a change of state repaints only what changed, and lines, painted once a view.

import { grow } from "./topology.js";

// How far beyond the view is painted, so that a drag does not run into the void at once.
const MARGIN = 0.15;
// Above this a canvas costs more than the eye gets from it.
const MOST_PIXELS_A_POINT = 2;
// A country smaller than this (in pixels) is marked by a dot of a size of its own.
const DOT_BELOW = 7;
const DOT_RADIUS = 3.5;
// From this zoom on, borders within countries are drawn.
const INNER_FROM = 2.5;
// From this zoom on, the finest shapes at hand are drawn.
const FINE_FROM = 4.5;

const overlap = (one, other) => one[2] >= other[0] && one[0] <= other[2] && one[3] >= other[1] && one[1] <= other[3];

/**
 * The class of the layer, made from Leaflet's global. Options: `theme()` answers the colours and patterns, `stateOf(code)`
 * the state of a region, or another word for its fill. Fires `regionover`, `regionout` and `regionpick` with `{code, containerPoint}`.
 */
export function regionLayerClass(L) {
  return L.Layer.extend({
    initialize(options) {
      L.setOptions(this, options);
      this.sheets = { countries: null, regions: null, fine: new Map() };
      this.painted = new Map();
      this.seen = [];
      this.dots = [];
      this.selected = null;
    },

    onAdd(map) {
      this.fills = this.addCanvas(map);
      this.lines = this.addCanvas(map);
      map.on("moveend viewreset resize", this.reset, this);
      map.on("zoomanim", this.animate, this);
      map.on("mousemove", this.hover, this);
      map.on("mouseout", this.leave, this);
      map.on("click", this.pick, this);
      this.reset();
    },

    onRemove(map) {
      map.off("moveend viewreset resize", this.reset, this);
      map.off("zoomanim", this.animate, this);
      map.off("mousemove", this.hover, this);
      map.off("mouseout", this.leave, this);
      map.off("click", this.pick, this);
      this.fills.remove();
      this.lines.remove();
    },

    addCanvas(map) {
      const canvas = L.DomUtil.create("canvas", "leaflet-zoom-animated", map.getPane("overlayPane"));
      canvas.setAttribute("aria-hidden", "true");
      return canvas;
    },

    /** Takes shapes: `which` is "countries", "regions", or a country's code for its fine ones. */
    setSheet(which, sheet) {
      if (which in this.sheets && which !== "fine") this.sheets[which] = sheet;
      else this.sheets.fine.set(which, sheet);
      this.chosen = null;
      if (this._map) this.reset();
    },

    /**
     * The box of a region's main part in world pixels, or null. A country stands in for a region that is not loaded, and
     * its regions for a country.
     */
    boxOf(code) {
      const country = code.slice(0, 2);
      const { countries, regions, fine } = this.sheets;
      for (const sheet of [fine.get(country), regions, countries]) {
        const found = sheet?.regions.get(code);
        if (found) return found.main;
      }
      if (countries) return countries.regions.get(country)?.main ?? null;
      const parts = [...(regions?.regions.values() ?? [])].filter((region) => region.code.startsWith(country));
      return parts.length ? parts.reduce((box, { main }) => grow(box, main), [...parts[0].main]) : null;
    },

    /** What to draw at this zoom: regions, borders, and the box of each country. */
    drawing() {
      const close = this._map.getZoom() >= FINE_FROM;
      if (this.chosen && this.chosen.close === close) return this.chosen;
      const { countries, regions, fine } = this.sheets;
      const base = regions ?? countries;
      // Fine shapes replace coarse ones where they are needed or where nothing coarser has the regions.
      const finer = base === regions && !close ? new Map() : fine;
      const shown = [];
      if (base) for (const region of base.regions.values()) if (!finer.has(region.code.slice(0, 2))) shown.push(region);
      for (const sheet of finer.values()) shown.push(...sheet.regions.values());
      const extents = new Map();
      for (const region of shown) {
        const country = region.code.slice(0, 2);
        extents.set(country, grow(extents.get(country) ?? [Infinity, Infinity, -Infinity, -Infinity], region.box));
      }
      const borders = [];
      for (const [country, lines] of base?.borders ?? []) if (!finer.has(country)) borders.push(lines);
      for (const sheet of finer.values()) borders.push(...sheet.borders.values());
      this.chosen = { close, shown, extents, borders };
      return this.chosen;
    },

    reset() {
      const map = this._map;
      const size = map.getSize();
      const dots = Math.min(window.devicePixelRatio || 1, MOST_PIXELS_A_POINT);
      const margin = size.multiplyBy(MARGIN).round();
      const whole = size.add(margin.multiplyBy(2));
      this.corner = map.containerPointToLatLng(margin.multiplyBy(-1));
      this.zoom = map.getZoom();
      this.scale = 2 ** this.zoom;
      this.fineness = dots;
      this.origin = map.project(this.corner, this.zoom);
      const position = map.containerPointToLayerPoint(margin.multiplyBy(-1));
      for (const canvas of [this.fills, this.lines]) {
        canvas.width = whole.x * dots;
        canvas.height = whole.y * dots;
        canvas.style.width = `${whole.x}px`;
        canvas.style.height = `${whole.y}px`;
        L.DomUtil.setPosition(canvas, position);
      }
      const { x, y } = this.origin;
      this.view = [x / this.scale, y / this.scale, (x + whole.x) / this.scale, (y + whole.y) / this.scale];
      this.repaint();
    },

    animate(event) {
      const scale = this._map.getZoomScale(event.zoom, this.zoom);
      const offset = this._map._latLngToNewLayerPoint(this.corner, event.zoom, event.center);
      for (const canvas of [this.fills, this.lines]) L.DomUtil.setTransform(canvas, offset, scale);
    },

    context(canvas) {
      const context = canvas.getContext("2d");
      const zoom = this.scale * this.fineness;
      context.setTransform(zoom, 0, 0, zoom, -this.origin.x * this.fineness, -this.origin.y * this.fineness);
      return context;
    },

    inView(box) {
      return overlap(box, this.view);
    },

    /** Paints everything anew: another view, another theme, other shapes. */
    repaint() {
      if (!this._map) return;
      const context = this.fills.getContext("2d");
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, this.fills.width, this.fills.height);
      this.painted.clear();
      this.look();
      this.recolour();
      this.paintLines();
    },

    /** What does not change while the view stays: the regions in it, and those that get a dot besides. */
    look() {
      const { shown, extents } = this.drawing();
      const radius = (DOT_RADIUS + 1) / this.scale;
      this.seen = shown.filter((region) => this.inView(region.box));
      this.dots = this.seen.filter(({ code }) => {
        const extent = extents.get(code.slice(0, 2));
        return Math.max(extent[2] - extent[0], extent[3] - extent[1]) * this.scale < DOT_BELOW;
      }).map((region) => {
        const { box } = region;
        const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
        return { region, x, y, box: [x - radius, y - radius, x + radius, y + radius] };
      });
      const theme = this.options.theme();
      const back = new DOMMatrix().scale(1 / (this.scale * theme.patternFineness));
      for (const pattern of Object.values(theme.patterns)) pattern.setTransform(back);
    },

    /** Paints the regions whose state is another one than when they were painted; where none is, the canvas is not touched. */
    recolour() {
      if (!this._map) return;
      const changed = new Map();
      const over = new Set();
      for (const region of this.seen) {
        const state = this.options.stateOf(region.code);
        const before = this.painted.get(region);
        if (before === state) continue;
        if (before && state === "normal") over.add(region);
        this.painted.set(region, state);
        if (!changed.has(state)) changed.set(state, []);
        changed.get(state).push(region);
      }
      if (!changed.size) return;
      const context = this.context(this.fills);
      const theme = this.options.theme();
      const fill = (state, regions) => {
        context.fillStyle = theme.patterns[state] ?? theme.fills[state];
        for (const region of regions) context.fill(region.path, "evenodd");
      };
      // A dot is larger than its region: what it hid comes back.
      const bare = this.dots.filter(({ region }) => over.has(region));
      for (const { box } of bare) {
        context.save();
        context.beginPath();
        context.rect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
        context.clip();
        context.clearRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
        for (const each of this.seen) if (overlap(each.box, box)) fill(this.painted.get(each), [each]);
        context.restore();
      }
      for (const [state, regions] of changed) fill(state, regions);
      context.lineWidth = 1 / this.scale;
      context.strokeStyle = theme.outer;
      // A dot is painted again with its region, and where a neighbour was painted over it.
      const anew = [...changed.values(), bare].flat();
      for (const { region, x, y, box } of this.dots) {
        const state = this.painted.get(region);
        if (state === "normal" || !anew.some((each) => overlap(each.box, box))) continue;
        context.beginPath();
        context.arc(x, y, DOT_RADIUS / this.scale, 0, 2 * Math.PI);
        context.fillStyle = theme.fills[state];
        context.fill();
        context.stroke();
      }
    },

    paintLines() {
      const canvas = this.lines;
      const clear = canvas.getContext("2d");
      clear.setTransform(1, 0, 0, 1, 0, 0);
      clear.clearRect(0, 0, canvas.width, canvas.height);
      const context = this.context(canvas);
      const theme = this.options.theme();
      const { shown, borders } = this.drawing();
      context.lineJoin = "round";
      if (this.zoom >= INNER_FROM || this.sheets.regions === null) {
        context.strokeStyle = theme.inner;
        context.lineWidth = 0.6 / this.scale;
        for (const lines of borders) context.stroke(lines.inner);
      }
      context.strokeStyle = theme.outer;
      context.lineWidth = 0.8 / this.scale;
      for (const lines of borders) context.stroke(lines.outer);
      if (!this.selected) return;
      for (const region of shown) {
        if (region.code !== this.selected && !(this.selected.length === 2 && region.code.startsWith(this.selected))) continue;
        context.strokeStyle = theme.halo;
        context.lineWidth = 5 / this.scale;
        context.stroke(region.path);
        context.strokeStyle = theme.ink;
        context.lineWidth = 2.5 / this.scale;
        context.stroke(region.path);
      }
    },

    /** Outlines a region (null: none). */
    select(code) {
      this.selected = code;
      if (this._map) this.paintLines();
    },

    /** The code of the region at a point of the map's container, or null. */
    at(point) {
      const place = this._map.project(this._map.containerPointToLatLng(point), this.zoom).divideBy(this.scale);
      const context = this.fills.getContext("2d");
      context.setTransform(1, 0, 0, 1, 0, 0);
      for (const { code, path, box } of this.drawing().shown) {
        if (place.x < box[0] || place.x > box[2] || place.y < box[1] || place.y > box[3]) continue;
        if (context.isPointInPath(path, place.x, place.y, "evenodd")) return code;
      }
      return null;
    },

    hover(event) {
      this.point = event.containerPoint;
      if (this.waiting) return;
      this.waiting = requestAnimationFrame(() => {
        this.waiting = 0;
        if (!this._map || !this.point) return;
        const code = this.at(this.point);
        this.fire(code ? "regionover" : "regionout", { code, containerPoint: this.point });
      });
    },

    leave() {
      this.point = null;
      this.fire("regionout", { code: null });
    },

    pick(event) {
      this.fire("regionpick", { code: this.at(event.containerPoint), containerPoint: event.containerPoint });
    },
  });
}
