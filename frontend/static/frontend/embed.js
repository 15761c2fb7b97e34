// Keeps a card current while somebody looks at it, without loading the frame anew under a reader's hands.

const main = document.querySelector("main[data-seconds]");
let heard = Date.now();

async function ask() {
  // Somebody is on the link: it stays under them.
  if (document.hidden || main.contains(document.activeElement)) return;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    heard = Date.now();
    if (fresh && fresh.innerHTML !== main.innerHTML) main.replaceChildren(...fresh.childNodes);
  } catch {
    // The card says from when it is.
  }
}

if (main) {
  const wait = 1000 * Number(main.dataset.seconds);
  setInterval(ask, wait);
  document.addEventListener("visibilitychange", () => {
    if (Date.now() - heard > wait) ask();
  });
}
