/** Short notes that come and go in a corner, and are read out. */

import { h } from "./dom";
import { icon } from "./icons";

const SECONDS = 6;

let place: HTMLElement | null = null;

/** Say that something was done, or went wrong; what went wrong stays until it is closed. */
export function toast(text: string, kind: "done" | "wrong" = "done"): void {
  place ??= document.body.appendChild(
    h("div", { class: "toasts", role: "log", "aria-live": "polite", "aria-label": "Notes" }),
  );
  const note = h(
    "div",
    { class: kind === "wrong" ? "toast wrong" : "toast" },
    icon(kind === "wrong" ? "warning" : "check"),
    h("span", {}, text),
    h(
      "button",
      {
        class: "button plain icon-only",
        type: "button",
        "aria-label": "Close this message",
        on: { click: () => { note.remove(); } },
      },
      icon("close", 16),
    ),
  );
  place.append(note);
  if (kind === "done") window.setTimeout(() => { note.remove(); }, SECONDS * 1000);
}
