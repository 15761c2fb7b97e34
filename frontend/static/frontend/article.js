// Printing an article, and its text for the clipboard. Everything else on the page is plain HTML.

const say = document.querySelector("[data-say]");

document.querySelector("[data-print]")?.addEventListener("click", () => window.print());

document.querySelector("[data-copy]")?.addEventListener("click", async (event) => {
  const { copy, copied, failed } = event.currentTarget.dataset;
  try {
    const answer = await fetch(copy);
    if (!answer.ok) throw new Error(String(answer.status));
    await navigator.clipboard.writeText(await answer.text());
    say.textContent = copied;
  } catch {
    say.textContent = failed;
  }
});
