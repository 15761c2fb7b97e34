// Where the reader said they are, kept in their own browser and nowhere else: a country and, where they chose one, a
// part of it, by their codes. Nothing of it goes into a cookie.

const KEY = "outagemap.region";
const WORLD = "001";

/** What was remembered, as `{country, region}`; either may be "". */
export function remembered() {
  try {
    const { country = "", region = "" } = JSON.parse(localStorage.getItem(KEY)) ?? {};
    return { country: country === WORLD ? "" : String(country), region: String(region) };
  } catch {
    // Nothing yet, or not what we wrote, or a private window that refuses.
    return { country: "", region: "" };
  }
}

/** The code of the narrowest region that is remembered, or "". */
export function here() {
  const { country, region } = remembered();
  return region || country;
}

/** Keeps a place; the page hears of it by `outagemap:here`. An empty one is forgotten. */
export function remember({ country = "", region = "" }) {
  const before = here();
  try {
    if (country && country !== WORLD) localStorage.setItem(KEY, JSON.stringify({ country, region }));
    else localStorage.removeItem(KEY);
  } catch {
    // Private windows may refuse; the choice then lasts for this page.
  }
  if (here() !== before) document.dispatchEvent(new CustomEvent("outagemap:here"));
}

// Another page of the site, in another tab, may have been told.
addEventListener("storage", ({ key }) => {
  if (key === KEY) document.dispatchEvent(new CustomEvent("outagemap:here"));
});
