// "Is it back for you?", asked of whoever said here that a service is down. No module: it runs where it stands, before
// what follows is drawn, so that the question pushes nothing away. What the answers do is in back.js.
//
// What is remembered, for a day at most and only in this browser: for each of a few services the region, when, and the
// receipt of the report.
(() => {
  const KEY = "outagemap.back";
  const MINUTE = 60000;
  const KEPT = 24 * 60 * MINUTE;
  const MOST = 5;
  // Nobody wants to be asked while they still read the thanks.
  const FIRST = 2 * MINUTE;
  const AGAIN = 15 * MINUTE;

  /** What is remembered, the newest first. */
  function read() {
    let list = [];
    try {
      list = JSON.parse(localStorage.getItem(KEY));
    } catch {
      // Not what we wrote, or a private window that refuses.
    }
    const now = Date.now();
    return (Array.isArray(list) ? list : [])
      .filter((one) => typeof one?.service === "string" && now - one.told < KEPT && one.told <= now + MINUTE)
      .sort((a, b) => b.told - a.told);
  }

  function write(list) {
    try {
      if (list.length) localStorage.setItem(KEY, JSON.stringify(list.slice(0, MOST)));
      else localStorage.removeItem(KEY);
    } catch {
      // Then nobody is asked.
    }
  }

  const isDue = (one, now) => now - one.told >= FIRST && (one.no === undefined || now - one.no >= AGAIN);
  const fits = (one, service) => !service || one.service === service;

  /** Milliseconds until there is somebody to be asked about `service` ("": any); `null` for never. */
  function dueIn(service) {
    const now = Date.now();
    const at = read().filter((one) => fits(one, service))
      .map((one) => Math.max(one.told + FIRST, one.no === undefined ? 0 : one.no + AGAIN));
    return at.length ? Math.max(Math.min(...at) - now, 0) : null;
  }

  function when(one) {
    const date = new Date(one.at);
    const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const sameDay = new Date(one.told).toDateString() === new Date().toDateString();
    return date.toLocaleString(`${document.documentElement.lang || "en"}-u-nu-latn`, sameDay ? time : { weekday: "short", ...time });
  }

  /** The question in `section`, where one is due or was come for (`asked`); whether there is one. */
  function show(section, { asked = false } = {}) {
    const now = Date.now();
    const one = read().find((each) => fits(each, section.dataset.back) && (asked || isDue(each, now)));
    if (!one) return false;
    const facts = { service: one.name, place: one.place, time: when(one) };
    for (const line of section.querySelectorAll("[data-question]")) {
      const name = `${one.waiting && line.dataset.question === "said" ? "waited" : line.dataset.question}${one.place ? "" : "World"}`;
      line.textContent = section.dataset[name].replace(/\{(\w+)\}/g, (_, fact) => facts[fact] ?? "");
    }
    section.dataset.service = one.service;
    section.dataset.state = "down";
    delete section.dataset.done;
    section.hidden = false;
    return true;
  }

  globalThis.outagemapBack = { read, write, dueIn, show };
  const section = document.querySelector("[data-back]");
  if (section) show(section, { asked: location.hash === "#back" });
})();
