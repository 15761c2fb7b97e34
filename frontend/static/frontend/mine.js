// What is said of the reader's own region: the one in a shared link, else the one that their browser remembers.

import { here, remember } from "./here.js";
import { address, piece } from "./regions.js";
import { upgrade } from "./times.js";

/** Starts the part of the page about one region. `onRegion(code)` hears which it is. Answers `{settle()}`. */
export function startMine({ onRegion }) {
  const section = document.querySelector("[data-mine]");
  const asked = () => new URL(location.href).searchParams.get("region") ?? "";
  let code = asked();

  async function load(chosen) {
    try {
      const found = await piece({ part: "mine", region: chosen, country: null });
      const open = new Set([...section.querySelectorAll("details[open][id]")].map((details) => details.id));
      // The page's refresh knows the region of the address only, and leaves this one to us.
      found.querySelectorAll("[data-live]").forEach((part) => part.removeAttribute("data-live"));
      section.replaceChildren(found);
      section.classList.remove("mine-none");
      section.querySelectorAll("details[id]").forEach((details) => { details.open = open.has(details.id) && details.id !== "mine-other"; });
      upgrade(section);
    } catch {
      return;
    }
    code = chosen;
    onRegion(chosen);
  }

  section.addEventListener("change", async (event) => {
    const form = event.target.closest("[data-pick]");
    if (!form || event.target.name !== "country") return;
    const { region } = form.elements;
    const part = region.closest("[data-part]");
    const country = event.target.value;
    const answer = country === "001" ? null : await fetch(`${form.dataset.regions}?country=${country}`).catch(() => null);
    const found = answer?.ok ? (await answer.json()).regions : [];
    region.replaceChildren(region.options[0], ...found.map((each) => new Option(each.name, each.code)));
    part.hidden = found.length === 0;
  });
  section.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-pick]");
    if (!form) return;
    event.preventDefault();
    const country = form.elements.country.value;
    const region = form.elements.region.closest("[data-part]").hidden ? "" : form.elements.region.value;
    if (country === "001") return;
    window.history.replaceState(null, "", address({ region: null, country: null }));
    remember({ country, region });
    if (code !== (region || country)) load(region || country);
  });
  document.addEventListener("outagemap:here", () => {
    if (!asked() && here() && here() !== code) load(here());
  });

  if (code) onRegion(code);
  else if (here()) load(here());
  return {
    settle() {
      if (code && !asked()) load(code);
    },
  };
}
