// TopoJSON to paths that a canvas can fill. Coordinates become pixels of the whole world at zoom 0 (256 by 256, Web
// Mercator), so that panning and zooming are nothing but a transformation.

const WORLD = 256;
const LIMIT = 85.0511;

/** Longitude in degrees to world pixels. */
export const worldX = (longitude) => ((longitude + 180) * WORLD) / 360;

/** Latitude in degrees to world pixels. */
export function worldY(latitude) {
  const bound = (Math.max(Math.min(latitude, LIMIT), -LIMIT) * Math.PI) / 180;
  return WORLD / 2 - (WORLD / (2 * Math.PI)) * Math.log(Math.tan(Math.PI / 4 + bound / 2));
}

/** Arcs are written as steps from the point before, in units of the file's own grid. */
function decodeArcs({ arcs, transform: { scale, translate } }) {
  return arcs.map((arc) => {
    const points = new Float32Array(arc.length * 2);
    let x = 0;
    let y = 0;
    arc.forEach((step, i) => {
      x += step[0];
      y += step[1];
      points[2 * i] = worldX(x * scale[0] + translate[0]);
      points[2 * i + 1] = worldY(y * scale[1] + translate[1]);
    });
    return points;
  });
}

const emptyBox = () => [Infinity, Infinity, -Infinity, -Infinity];

/** `box` grown so that it holds `other`. Boxes are `[left, top, right, bottom]`. */
export function grow(box, other) {
  box[0] = Math.min(box[0], other[0]);
  box[1] = Math.min(box[1], other[1]);
  box[2] = Math.max(box[2], other[2]);
  box[3] = Math.max(box[3], other[3]);
  return box;
}

/** Adds one closed ring to `path` and answers its box. */
function addRing(path, ring, arcs) {
  const box = emptyBox();
  let begun = false;
  for (const number of ring) {
    const arc = arcs[number < 0 ? ~number : number];
    const last = arc.length / 2 - 1;
    for (let k = 0; k <= last; k += 1) {
      const i = number < 0 ? last - k : k;
      const x = arc[2 * i];
      const y = arc[2 * i + 1];
      if (!begun) path.moveTo(x, y);
      // Each arc begins where the one before it ended.
      else if (k > 0) path.lineTo(x, y);
      begun = true;
      grow(box, [x, y, x, y]);
    }
  }
  path.closePath();
  return box;
}

function addLine(path, arc) {
  path.moveTo(arc[0], arc[1]);
  for (let i = 2; i < arc.length; i += 2) path.lineTo(arc[i], arc[i + 1]);
}

const size = (box) => Math.max(box[2] - box[0], 0) * Math.max(box[3] - box[1], 0);

/**
 * The shapes of a TopoJSON file: `regions` (a Map of code to `{code, path, box, main}`, `main` being the box of the
 * largest part: far islands do not belong into a view) and `borders` (a Map of country to `{inner, outer}`: borders
 * between its regions; coasts and borders of the country).
 */
export function shapes(topology) {
  const arcs = decodeArcs(topology);
  const owners = arcs.map(() => []);
  const regions = new Map();
  for (const geometry of Object.values(topology.objects)[0].geometries) {
    if (!geometry.arcs) continue;
    const code = geometry.id;
    const path = new Path2D();
    const box = emptyBox();
    let main = emptyBox();
    for (const polygon of geometry.type === "Polygon" ? [geometry.arcs] : geometry.arcs) {
      for (const ring of polygon) {
        const bounds = addRing(path, ring, arcs);
        grow(box, bounds);
        if (size(bounds) > size(main)) main = bounds;
        for (const number of ring) owners[number < 0 ? ~number : number].push(code);
      }
    }
    regions.set(code, { code, path, box, main });
  }
  const borders = new Map();
  owners.forEach((codes, i) => {
    if (!codes.length) return;
    const country = codes[0].slice(0, 2);
    if (!borders.has(country)) borders.set(country, { inner: new Path2D(), outer: new Path2D() });
    const within = codes.length > 1 && country === codes[1].slice(0, 2);
    addLine(within ? borders.get(country).inner : borders.get(country).outer, arcs[i]);
  });
  return { regions, borders };
}
