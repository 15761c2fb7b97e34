// Something that the server tells anew again and again: asked for by what changed since the version at hand, which it names,
// and taken whole where it no longer knows that version. Versions are named by their content, so nothing can be lost.

const DELTA = "application/vnd.outagemap.delta+json";
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The name of a version: its tag without what the server adds for an encoding. */
const nameIn = (answer) => /^(?:W\/)?"([0-9a-f]+)/.exec(answer.headers.get("ETag") ?? "")?.[1] ?? "";

/** The new text: a string is new, two numbers copy from `former`, as `deltas.py` tells. */
function applied(former, edits) {
  const pieces = [];
  let copied = 0;
  for (let i = 0; i < edits.length; i += 1) {
    if (typeof edits[i] === "string") {
      pieces.push(edits[i]);
    } else {
      const start = copied + edits[i];
      copied = start + edits[i + 1];
      i += 1;
      pieces.push(decoder.decode(former.subarray(start, copied)));
    }
  }
  return pieces.join("");
}

/** What is at hand of something living: `text`, once there is any. */
export class Living {
  text = "";
  #bytes = null;
  #name = "";

  #take(text, name) {
    this.text = text;
    this.#bytes = new TextEncoder().encode(text);
    this.#name = name;
  }

  /** Begins with what the browser keeps of `address`, if it does; asks nobody. */
  async begin(address) {
    try {
      const kept = await fetch(address, { cache: "only-if-cached", mode: "same-origin" });
      if (kept.ok) this.#take(await kept.text(), nameIn(kept));
    } catch {
      // Then the first answer is the whole.
    }
  }

  /** Asks for what `address` says now. Answers whether it is another text than before; throws where there is no answer. */
  async ask(address) {
    const url = new URL(address, location.href);
    if (this.#name) url.searchParams.set("since", this.#name);
    const headers = this.#name ? { "If-None-Match": `"${this.#name}-parts"` } : {};
    const answer = await fetch(url, { headers, cache: "no-store" });
    if (answer.status === 304) return false;
    if (!answer.ok) throw new Error(String(answer.status));
    if (!answer.headers.get("Content-Type")?.startsWith(DELTA)) {
      this.#take(await answer.text(), nameIn(answer));
      return true;
    }
    const { since, name, bytes, edits } = await answer.json();
    if (since === this.#name) {
      this.#take(applied(this.#bytes, edits), name);
      if (this.#bytes.length === bytes) return true;
    }
    // Somebody on the way mixed things up: the whole, then.
    this.#take("", "");
    return this.ask(address);
  }
}
