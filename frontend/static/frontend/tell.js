// "Tell me when it is back": a notification, once, for whoever asks for one with a click.

import { keep } from "./back.js";

/** Whether this browser can be told at all. Web push is for secure contexts only. */
export const canBeTold = () => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));

/** The subscription of this browser at its push service, for the present key of the site. */
export async function subscribed(root) {
  // Waited for until it is at work: a subscription belongs to one that is.
  await navigator.serviceWorker.register(`${root}sw.js`, { scope: root });
  const registration = await navigator.serviceWorker.ready;
  const { key } = await (await fetch(`${root}push/key.json`)).json();
  const applicationServerKey = bytes(key);
  const options = { userVisibleOnly: true, applicationServerKey };
  try {
    return await registration.pushManager.subscribe(options);
  } catch (problem) {
    // Made for another key than the site's present one.
    const old = await registration.pushManager.getSubscription();
    if (!old) throw problem;
    await old.unsubscribe();
    return registration.pushManager.subscribe(options);
  }
}

/** Asks for leave, subscribes, and tells the site. Resolves with what came of it: "told", "denied", "failed", "tellLater". */
export async function askToBeTold(what, root = "/") {
  const leave = await Notification.requestPermission();
  if (leave !== "granted") {
    keep({ ...what, waiting: true });
    return "denied";
  }
  try {
    const subscription = await subscribed(root);
    const reply = await fetch(`${root}push/subscriptions/`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify({ subscription: subscription.toJSON(), service: what.service, region: what.region }),
    });
    keep({ ...what, waiting: true });
    if (reply.status === 201) return "told";
    return reply.status === 429 || reply.status >= 500 ? "tellLater" : "failed";
  } catch {
    keep({ ...what, waiting: true });
    return "failed";
  }
}
