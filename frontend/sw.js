// The site's service worker: shows messages (it is back; an outage) and takes the answer. It keeps no page and answers
// no request.

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

/** The answers that a message offers: what each says, and its words. */
function actions(message) {
  if (message.actions) return message.actions;
  return message.ids ? [["working", message.yes], ["down", message.no]] : [];
}

/** What is shown for a message, and what its answer needs. */
function shown(message) {
  const time = message.since
    ? message.sinceText.replace("{time}", new Date(message.since).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" }))
    : "";
  return [
    message.title,
    {
      body: [time, message.body].filter(Boolean).join(" "),
      lang: message.language,
      // A repeated message takes the place of the first, in silence; what is new about an outage is heard.
      tag: message.tag,
      renotify: message.again ?? false,
      data: message,
      actions: actions(message).map(([action, title]) => ({ action, title })),
    },
  ];
}

self.addEventListener("push", (event) => {
  let message = null;
  try {
    message = event.data.json();
  } catch {
    // Not from us.
  }
  if (message?.title) event.waitUntil(self.registration.showNotification(...shown(message)));
});

/** Sends the answer; where that fails, the page opens and asks. */
async function vote(message, kind) {
  const report = { id: message.ids[kind], service: message.service, region: message.region, kind };
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  const answer = await fetch("/api/v1/reports/", { method: "POST", headers, body: JSON.stringify(report) }).catch(() => null);
  if (answer?.status !== 202) return open(message, message.ask);
  const pages = await self.clients.matchAll({ type: "window" });
  pages.forEach((page) => page.postMessage({ answered: message.service, kind }));
  return undefined;
}

async function open(message, page = message.url) {
  const address = new URL(page, self.location.origin);
  if (address.origin !== self.location.origin) return undefined;
  // The question in the page of a service; an incident's has none.
  if (message.yes) address.hash = "back";
  return self.clients.openWindow(address.href);
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const message = event.notification.data;
  event.waitUntil(event.action in (message.ids ?? {}) ? vote(message, event.action) : open(message));
});
