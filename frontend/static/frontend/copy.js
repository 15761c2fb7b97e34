// Copies what stands beside a button, and says so.

for (const button of document.querySelectorAll("[data-copy]")) {
  const said = button.parentElement.querySelector("[data-copied]");
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = said.dataset.copied;
    } catch {
      // Without leave to write there, it is marked to be copied by hand.
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
      said.textContent = said.dataset.marked;
    }
  });
}
