// The history of an incident as numbers: pure functions, no page. Time is whole minutes since the history's start.

/** The states in the order in which they are shown; a letter stands for each in what the server sends. */
export const STATES = ["down", "recovering", "restored", "unknown", "normal"];
const LETTERS = { d: "down", r: "recovering", b: "restored", u: "unknown", n: "normal" };

const region = ([name, ...changes]) => ({ name, changes: changes.map(([minute, letter]) => [minute, LETTERS[letter]]) });

/**
 * The history that the server wrote: `{version, start, end, step, covered: {CODE: [CODE below it, ...]}, uncounted: [CODE,
 * ...], regions: {CODE: [name, [minute, letter], ...]}}`; answered with instants as `Date`, states as words, `regions` a
 * Map of code to `{name, changes}`, and `covers`, a Map from each region without a verdict of its own to the one above
 * whose state it takes. `uncounted` are regions of which parts are there too: counting both would count places twice.
 */
export function decode(source) {
  const start = new Date(source.start);
  const end = new Date(source.end);
  return {
    version: source.version,
    start,
    end,
    step: source.step,
    minutes: Math.round((end - start) / 60000),
    covers: new Map(Object.entries(source.covered).flatMap(([above, codes]) => codes.map((code) => [code, above]))),
    uncounted: new Set(source.uncounted),
    regions: new Map(Object.entries(source.regions).map(([code, told]) => [code, region(told)])),
  };
}

/** The same history up to another end: nothing changed but the time. */
export const until = (history, end) => ({ ...history, end, minutes: Math.round((end - history.start) / 60000) });

/** How many steps the slider has. */
export const steps = (history) => Math.max(Math.ceil(history.minutes / history.step), 1);

/** The minute at which step `number` stands; the last one stands at the very end. */
export const minuteAt = (history, number) => Math.min(number * history.step, history.minutes);

/** The step nearest to `date`, within the history. */
export function stepAt(history, date) {
  const number = Math.round((date - history.start) / 60000 / history.step);
  return Math.min(Math.max(number, 0), steps(history));
}

/** The instant of step `number`. */
export const dateAt = (history, number) => new Date(history.start.getTime() + 60000 * minuteAt(history, number));

/** The state at `minute` of a region with these changes, which are in order; `normal` before the first. */
export function stateAt(changes, minute) {
  let state = "normal";
  for (const [since, next] of changes) {
    if (since > minute) break;
    state = next;
  }
  return state;
}

/** The state of every region at `minute`: a Map of code to state. */
export function statesAt(history, minute) {
  const states = new Map();
  for (const [code, { changes }] of history.regions) states.set(code, stateAt(changes, minute));
  return states;
}

/** How many regions are in each state: `{down: 3, ...}`. */
export function tally(history, states) {
  const found = Object.fromEntries(STATES.map((state) => [state, 0]));
  for (const [code, state] of states) if (!history.uncounted.has(code)) found[state] += 1;
  return found;
}

/** The regions that are counted, by country: a Map of country to codes. */
export function byCountry(history) {
  const found = new Map();
  for (const code of history.regions.keys()) {
    if (history.uncounted.has(code)) continue;
    const country = code.length > 2 && code !== "001" ? code.slice(0, 2) : code;
    if (!found.has(country)) found.set(country, []);
    found.get(country).push(code);
  }
  return found;
}
