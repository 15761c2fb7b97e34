// Being told of outages. The form: parts follow the country, services are found by name, and this browser may be told
// itself; its link is remembered here. The question: where somebody is.

import { canBeTold, subscribed } from "./tell.js";
import { setUpPlace } from "./where.js";

const LINK = "outagemap.alerts";
const form = document.querySelector("form[data-alerts]");

function known(link) {
  try {
    if (link) localStorage.setItem(LINK, link);
    return localStorage.getItem(LINK);
  } catch {
    // A private window that refuses.
    return null;
  }
}

/** Shows only the services whose name holds what is written; those that are ticked stay. */
function setUpFinding() {
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const found = form.querySelector("[data-found]");
  const groups = [...form.querySelectorAll(".alerts-others details")];
  form.querySelector("[data-find]").addEventListener("input", ({ target }) => {
    const wanted = plain(target.value.trim());
    let any = !wanted;
    for (const group of groups) {
      let shown = 0;
      for (const label of group.querySelectorAll("label")) {
        label.hidden = wanted !== "" && !plain(label.textContent).includes(wanted) && !label.control.checked;
        shown += label.hidden ? 0 : 1;
      }
      group.hidden = shown === 0;
      group.open = wanted !== "" && shown > 0;
      any ||= shown > 0;
    }
    found.textContent = any ? "" : found.dataset.words;
  });
  // Enter in this field is no wish to send the form.
  form.querySelector("[data-find]").addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
}

function say(text) {
  const fault = document.querySelector("[data-fault]");
  fault.textContent = text;
  fault.hidden = !text;
  if (text) fault.scrollIntoView({ block: "center" });
}

async function tellThisBrowser() {
  const services = [...form.querySelectorAll("[name=service]:checked")].map((box) => box.value);
  if (!services.length) return say(form.dataset.none);
  if ((await Notification.requestPermission()) !== "granted") return say(form.dataset.denied);
  try {
    const subscription = await subscribed("/");
    const { country, region, severity, time_zone: zone } = form.elements;
    const reply = await fetch(form.dataset.push, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({
        subscription: subscription.toJSON(),
        wish: "outages",
        services,
        region: region.value || country.value,
        severity: severity.value,
        time_zone: zone.value,
      }),
    });
    const body = await reply.json();
    if (reply.status !== 201) return say(body.detail ?? form.dataset.failed);
    known(body.manage);
    return location.assign(body.manage);
  } catch {
    return say(form.dataset.failed);
  }
}

function setUpThisBrowser() {
  const { channel, target } = form.elements;
  if (!channel || !canBeTold()) return;
  channel.append(new Option(form.dataset.pushLabel, "push"));
  if (new URL(location.href).searchParams.get("channel") === "push") channel.value = "push";
  const follow = () => {
    const here = channel.value === "push";
    target.disabled = here;
    form.querySelectorAll("[data-target]").forEach((part) => { part.hidden = here; });
  };
  channel.addEventListener("change", follow);
  follow();
  form.addEventListener("submit", (event) => {
    if (channel.value !== "push") return;
    event.preventDefault();
    tellThisBrowser();
  });
}

if (form) {
  setUpPlace(form, { preset: true });
  // The times in messages are those of whoever reads them, with UTC beside.
  form.elements.time_zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
  setUpFinding();
  setUpThisBrowser();
  const manage = document.querySelector("[data-manage]");
  if (manage && known()) {
    manage.querySelector("a").href = known();
    manage.hidden = false;
  }
}

const question = document.querySelector("form[data-ask]");
if (question) setUpPlace(question);
