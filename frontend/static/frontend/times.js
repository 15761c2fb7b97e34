// Instants in the reader's own zone, with UTC beside. The server writes UTC; where the reader's clock shows the same,
// nothing changes.

const page = document.documentElement.lang || "en";
const own = (navigator.languages ?? []).find((tag) => tag.toLowerCase().split("-")[0] === page);

/**
 * The language of the page, in the reader's own variety of it where their browser tells one. English is British, as the
 * server writes it; digits are European in every language, as they are in everything else on the page.
 */
export const language = `${own ?? (page === "en" ? "en-GB" : page)}${own?.includes("-u-") ? "" : "-u-nu-latn"}`;
const clockFormat = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const utcClockFormat = new Intl.DateTimeFormat(language, {
  hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "UTC",
});
const dayFormat = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const yearFormat = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric" });

/** What stands between a day and an hour. */
export const comma = page === "ar" ? "، " : ", ";

/** Whether the reader's clock differs from UTC at `date`. */
export const differsFromUtc = (date) => date.getTimezoneOffset() !== 0;

/** "18:02", in the reader's zone. */
export const localClock = (date) => clockFormat.format(date);

/** "18:02", in UTC. */
export const utcClock = (date) => utcClockFormat.format(date);

/** "3 Apr", or "3 Apr 2024" where `withYear`, in the reader's zone. */
export const localDay = (date, withYear) => (withYear ? yearFormat : dayFormat).format(date);

function upgradeTime(element) {
  const date = new Date(element.dateTime);
  if (element.dataset.upgraded || Number.isNaN(date.getTime()) || !differsFromUtc(date)) return;
  element.dataset.upgraded = "";
  const written = element.textContent;
  const sameDay = date.getDate() === date.getUTCDate();
  const dated = element.hasAttribute("data-dated") || !sameDay;
  const day = dated ? `${localDay(date, /\d{4}/.test(written))}${comma}` : "";
  const utc = document.createElement("span");
  utc.className = "utc";
  utc.textContent = ` (${sameDay ? `${utcClock(date)} UTC` : written})`;
  element.replaceChildren(`${day}${localClock(date)}`, utc);
}

function upgradeTick(element) {
  const date = new Date(element.dataset.time);
  if (!differsFromUtc(date)) return;
  const midnight = date.getHours() === 0 && date.getMinutes() === 0;
  element.textContent = midnight ? localDay(date, false) : localClock(date);
}

/** Upgrades every instant below `root`. */
export function upgrade(root) {
  root.querySelectorAll("time[datetime]").forEach(upgradeTime);
  root.querySelectorAll("text[data-time]").forEach(upgradeTick);
  if (differsFromUtc(new Date())) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    root.querySelectorAll("[data-zone]").forEach((element) => { element.textContent = zone; });
  }
}

upgrade(document);
document.addEventListener("outagemap:fresh", () => upgrade(document));
