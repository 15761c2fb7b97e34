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
      this.dots = dots;
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
      const zoom = this.scale * this.dots;
      context.setTransform(zoom, 0, 0, zoom, -this.origin.x * this.dots, -this.origin.y * this.dots);
      return context;
    },

    inView(box) {
      const [left, top, right, bottom] = this.view;
      return box[2] >= left && box[0] <= right && box[3] >= top && box[1] <= bottom;
    },

    /** Paints everything anew: another view, another theme, other shapes. */
    repaint() {
      if (!this._map) return;
      const context = this.fills.getContext("2d");
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, this.fills.width, this.fills.height);
      this.painted.clear();
      this.recolour();
      this.paintLines();
    },

    /** Paints the regions whose state is another one than when they were painted. */
    recolour() {
      if (!this._map) return;
      const context = this.context(this.fills);
      const theme = this.options.theme();
      const { shown, extents } = this.drawing();
      const back = new DOMMatrix().scale(1 / (this.scale * theme.patternFineness));
      for (const pattern of Object.values(theme.patterns)) pattern.setTransform(back);
      const dots = [];
      for (const region of shown) {
        if (!this.inView(region.box)) continue;
        const state = this.options.stateOf(region.code);
        const extent = extents.get(region.code.slice(0, 2));
        const span = Math.max(extent[2] - extent[0], extent[3] - extent[1]) * this.scale;
        if (span < DOT_BELOW && state !== "normal") dots.push([region, state]);
        if (this.painted.get(region) === state) continue;
        this.painted.set(region, state);
        context.fillStyle = theme.fills[state];
        context.fill(region.path, "evenodd");
        if (theme.patterns[state]) {
          context.fillStyle = theme.patterns[state];
          context.fill(region.path, "evenodd");
        }
      }
      context.lineWidth = 1 / this.scale;
      context.strokeStyle = theme.outer;
      for (const [{ box }, state] of dots) {
        context.beginPath();
        context.arc((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, DOT_RADIUS / this.scale, 0, 2 * Math.PI);
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
