/** "Why?": what the model's answer on a patch rests on, as a picture with what it is and is not. */

import { fetchWhy, type Asked } from "../api/why";
import { problemText } from "../api/problem";
import { fill, h } from "../ui/dom";
import { icon } from "../ui/icons";

/** After this long the wait is explained, ms. */
const LONG_MS = 5000;

/** A button, and below it the picture once it was asked for; `signal` ends the asking. */
export function whyPart(asked: Asked, signal: AbortSignal): HTMLElement {
  // Never disabled, nor taken away: it would lose the keyboard's focus.
  const button = h("button", { class: "button", type: "button" }, icon("info", 16), "Why?");
  const state = h("p", { class: "quiet", role: "status" });
  const part = h("section", { class: "why", "aria-label": "Why?" }, h("div", { class: "why-head" }, button, state));
  const free = (): void => { button.removeAttribute("aria-disabled"); };
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    fill(state, `Drawing what the answer “${asked.of}” rests on…`);
    const long = window.setTimeout(() => {
      fill(state, "This takes longer: a worker has to be free, and loads the model first.");
    }, LONG_MS);
    fetchWhy(asked, signal)
      .then(
        (blob) => {
          fill(state);
          part.append(picture(asked, blob, signal));
        },
        (error: unknown) => {
          if (signal.aborted) return;
          fill(state, problemText(error));
          free();
        },
      )
      .finally(() => { window.clearTimeout(long); });
  });
  return part;
}

function picture({ of, column, row }: Asked, blob: Blob, signal: AbortSignal): HTMLElement {
  const url = URL.createObjectURL(blob);
  signal.addEventListener("abort", () => { URL.revokeObjectURL(url); }, { once: true });
  return h(
    "figure",
    {},
    h("img", { src: url, alt: `The patch in column ${column}, row ${row}, and beside it the patch under a map of what the answer ${of} rests on` }),
    h(
      "figcaption",
      { class: "quiet" },
      `Left the patch as the model got it, right the same under a map: the brighter a place, the more the answer “${of}” rests on it. `,
      "The map shows where the model looked. It is no proof that the answer is right, and it names no cause in the tissue.",
    ),
  );
}
