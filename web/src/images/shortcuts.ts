/** The keys of the page: those that are for no image, and a list of all. */

import { openDialog } from "../ui/dialog";
import { h } from "../ui/dom";

const SHORTCUTS: readonly (readonly [readonly string[], string])[] = [
  [["←", "→", "↑", "↓"], "Next images in the grid; ← and → also in an open one"],
  [["Home", "End"], "First and last of the row; with Ctrl, of all"],
  [["Enter"], "Open an image; in an open one, accept its class as your label"],
  [["1", "…", "9", "0", "a", "…"], "Label the image with the class of this key"],
  [["⌫"], "Take your label back"],
  [["Esc"], "Close an image"],
  [["/"], "Search"],
  [["?"], "Show this list"],
];

/** Take keys until the returned function is called. */
export function takeKeys(search: () => void): () => void {
  const onKey = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest("input, select, textarea, dialog, [popover]")) return;
    if (event.key === "/") search();
    else if (event.key === "?") showShortcuts();
    else return;
    event.preventDefault();
  };
  document.addEventListener("keydown", onKey);
  return () => {
    document.removeEventListener("keydown", onKey);
  };
}

export function showShortcuts(): void {
  openDialog({
    title: "Keyboard",
    body: [
      h(
        "dl",
        { class: "shortcuts" },
        ...SHORTCUTS.flatMap(([keys, text]) => [h("dt", {}, ...keys.map((key) => h("kbd", {}, key))), h("dd", {}, text)]),
      ),
    ],
    buttons: [],
  });
}
