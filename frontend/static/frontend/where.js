// The two fields that ask where somebody is, in the report's form and on the home page: parts follow the country, the
// choice is remembered in the browser, and the device may be asked, to a tenth of a degree.

import { remember, remembered } from "./here.js";

const WORLD = "001";

/** The fields of `form`; `preset` where the page is about a region, whatever its reader's is. */
export function setUpPlace(form, { preset = false } = {}) {
  const { country, region } = form.elements;

  async function fillRegions(chosen, wanted) {
    const source = chosen && chosen !== WORLD ? await fetch(`${form.dataset.regions}?country=${chosen}`).catch(() => null) : null;
    const found = source?.ok ? (await source.json()).regions : [];
    region.replaceChildren(region.options[0], ...found.map(({ code, name }) => new Option(name, code)));
    region.value = found.some(({ code }) => code === wanted) ? wanted : "";
    region.disabled = found.length === 0;
  }

  const keep = () => remember({ country: country.value, region: region.value });

  async function choose(code) {
    country.value = code.slice(0, 2);
    await fillRegions(country.value, code);
    keep();
  }

  country.addEventListener("change", async () => {
    await fillRegions(country.value, "");
    keep();
  });
  region.addEventListener("change", keep);
  setUpLocating(form, choose);

  const known = remembered();
  if (!preset && known.country && known.country !== country.value) {
    country.value = known.country;
    fillRegions(known.country, known.region);
  } else if (!preset && known.country) {
    region.value = known.region;
    if (region.value !== known.region) region.value = "";
  }
  return { code: () => region.value || country.value };
}

function setUpLocating(form, choose) {
  const button = form.querySelector("[data-locate]");
  const answer = form.querySelector("[data-located]");
  if (!button || !navigator.geolocation) {
    button?.closest("p").remove();
    return;
  }
  // Rounded here: what leaves the browser is a square of ten kilometres or so.
  const rounded = (degrees) => (Math.round(degrees * 10) / 10).toFixed(1);
  button.addEventListener("click", () => {
    answer.textContent = button.dataset.asking;
    navigator.geolocation.getCurrentPosition(
      async ({ coords }) => {
        const reply = await fetch(`${button.dataset.locate}?lat=${rounded(coords.latitude)}&lon=${rounded(coords.longitude)}`).catch(() => null);
        const found = reply?.ok ? await reply.json() : null;
        if (!found) {
          answer.textContent = button.dataset.nowhere;
          return;
        }
        await choose(found.code);
        answer.textContent = found.name;
      },
      () => { answer.textContent = button.dataset.refused; },
      { maximumAge: 600000, timeout: 15000 },
    );
  });
}

const details = document.querySelector("details.where");

if (details) {
  const form = details.querySelector("form");
  setUpPlace(form);
  // Chosen is shown already; the button only puts the fields away.
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    remember({ country: form.elements.country.value, region: form.elements.region.value });
    details.open = false;
    details.querySelector("summary").focus();
  });
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("a[href='#country']")) return;
  if (details) details.open = true;
  document.getElementById("country")?.focus();
});
