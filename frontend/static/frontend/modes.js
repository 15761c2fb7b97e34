// What the map of an incident shows: the state of each region, its reports against the usual, or how long until it was
// back. Pure functions, no page; each answers with the word of a fill, as `modes.py` does for the drawings.

export const MODES = ["state", "rate", "restore"];
const numbered = (name) => [1, 2, 3, 4, 5].map((number) => [`${name}-${number}`, `--${name}-${number}`]);

/** The fills that a map of states does not have, and the variable of the style sheet that holds the colour of each. */
export const FILLS = {
  ...Object.fromEntries([...numbered("rate"), ...numbered("back")]),
  few: "--state-unknown",
  "not-back": "--state-down",
};

/** The pattern over a fill, by the name that the map has for it. */
export const PATTERNS = { few: "hatch", "not-back": "bars" };

/** The fill of a region at step `number`: `classes` has one digit a step, 0 where too few reports say anything. */
export function rateFill(classes, number) {
  const digit = classes?.charAt(Math.min(number, classes.length - 1));
  return digit && digit !== "0" ? `rate-${digit}` : "few";
}

/**
 * The fill of every region by how long after the beginning it came back for good: a Map. `breaks` are the limits of the
 * classes in minutes, rising; a length equal to a limit lies above it.
 */
export function restoreFills(history, breaks) {
  const firsts = [...history.regions.values()].flatMap(({ changes }) => changes.slice(0, 1).map(([minute]) => minute));
  const onset = firsts.reduce((least, minute) => Math.min(least, minute), Infinity);
  const fills = new Map();
  for (const [code, { changes }] of history.regions) {
    const [minute, state] = changes.at(-1) ?? [0, "normal"];
    if (state === "restored" || (state === "normal" && changes.length)) {
      fills.set(code, `back-${1 + breaks.filter((limit) => minute - onset >= limit).length}`);
    } else if (changes.length) {
      fills.set(code, state === "unknown" ? "few" : "not-back");
    }
  }
  return fills;
}
