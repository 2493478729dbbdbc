/** What an answer rests on, as a picture that the server draws when it is asked. */

import { fetchExplanation } from "../api/images";
import { problemText } from "../api/problem";
import { fill, h } from "../ui/dom";

/** Who only passes by asks for nothing, ms. */
const PASSING_MS = 350;

export class Explanation {
  readonly element = h("figure", { class: "image-explanation", hidden: true });
  #stop = new AbortController();
  #url: string | null = null;

  /** Show it of an image; it replaces the one before. */
  show(id: string, model: string, called: string): void {
    this.clear();
    this.element.hidden = false;
    fill(this.element, h("p", { class: "quiet", role: "status" }, "The map of what the answer rests on is being drawn…"));
    const { signal } = this.#stop;
    const timer = window.setTimeout(() => void this.#ask(id, model, called, signal), PASSING_MS);
    signal.addEventListener("abort", () => {
      window.clearTimeout(timer);
    });
  }

  /** Say that there is none. */
  refuse(cause: string): void {
    this.clear();
    this.element.hidden = false;
    fill(this.element, h("p", { class: "quiet", role: "status" }, `There is no map of what the answer rests on: ${cause}`));
  }

  /** Show nothing, and wait for nothing. */
  clear(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    if (this.#url !== null) URL.revokeObjectURL(this.#url);
    this.#url = null;
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  async #ask(id: string, model: string, called: string, signal: AbortSignal): Promise<void> {
    try {
      const picture = await fetchExplanation(id, model, signal);
      if (signal.aborted) return;
      this.#url = URL.createObjectURL(picture);
      fill(
        this.element,
        h("img", { src: this.#url, alt: `The image, and the image under its map for ${called}` }),
        h("figcaption", { class: "quiet" }, `Where the model looked for ${called}: the brighter, the more the answer rests on it. The map does not say why, nor whether it is right.`),
      );
    } catch (error) {
      if (!signal.aborted) this.refuse(problemText(error));
    }
  }
}
