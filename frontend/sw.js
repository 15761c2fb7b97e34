// The site's service worker: shows the message "it is back" and takes the answer. It keeps no page and answers no request.

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

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
      // A repeated message takes the place of the first, in silence.
      tag: message.tag,
      renotify: false,
      data: message,
      actions: [
        { action: "working", title: message.yes },
        { action: "down", title: message.no },
      ],
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
  if (answer?.status !== 202) return open(message);
  const pages = await self.clients.matchAll({ type: "window" });
  pages.forEach((page) => page.postMessage({ answered: message.service, kind }));
  return undefined;
}

async function open(message) {
  const address = new URL(message.url, self.location.origin);
  if (address.origin !== self.location.origin) return undefined;
  address.hash = "back";
  return self.clients.openWindow(address.href);
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const message = event.notification.data;
  event.waitUntil(event.action in (message.ids ?? {}) ? vote(message, event.action) : open(message));
});
