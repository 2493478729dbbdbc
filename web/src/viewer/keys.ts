/** The keyboard: which key does what, and the list of them. */

import { openDialog } from "../ui/dialog";
import { h } from "../ui/dom";

export interface Command {
  /** `event.key`s that do it; with the Control or Command key, `Ctrl+` before them. */
  readonly keys: readonly string[];
  /** How the list calls the keys; absent commands are not listed by themselves. */
  readonly shown?: string;
  readonly text?: string;
  readonly run: () => void;
}

/** Elements that want letters for themselves. */
const WRITES = "input:not([type=range]):not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";
/** Elements that want arrows, Enter and blanks for themselves. */
const ACTS = "input, select, button, a, summary, [role=tab]";
const OWN_KEYS = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Enter", " ", "Home", "End"]);

/** Run commands by their keys until the signal says so. */
export function listenToKeys(commands: readonly Command[], signal: AbortSignal): void {
  const byKey = new Map(commands.flatMap((command) => command.keys.map((key) => [key, command])));
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.defaultPrevented || event.altKey) return;
      // A dialog has the keyboard, wherever the focus is.
      if (document.querySelector("dialog[open]") !== null) return;
      const target = event.target instanceof Element ? event.target : null;
      if (target !== null) {
        if (target.matches(WRITES)) return;
        if (OWN_KEYS.has(event.key) && target.matches(ACTS)) return;
      }
      const command = byKey.get(`${event.ctrlKey || event.metaKey ? "Ctrl+" : ""}${event.key}`);
      if (command === undefined) return;
      event.preventDefault();
      command.run();
    },
    { signal },
  );
}

/** Show what the keys do. */
export function openKeyHelp(commands: readonly Command[]): void {
  const listed = commands.filter((command) => command.shown !== undefined);
  const dialog = openDialog({
    title: "Keyboard",
    body: [
      h(
        "dl",
        { class: "key-list" },
        ...listed.flatMap((command) => [
          h("dt", {}, ...(command.shown ?? "").split(" ").map((key) => h("kbd", {}, key))),
          h("dd", {}, command.text ?? ""),
        ]),
      ),
      h("p", { class: "quiet" }, "The mouse: drag to move, wheel to zoom, click for the patch at full resolution. With a tool for drawing: drag or click to draw; the middle button, or the space bar and dragging, moves."),
    ],
    buttons: [h("button", { class: "button primary", type: "button", on: { click: () => { dialog.close(); } } }, "Close")],
  });
  dialog.classList.add("key-dialog");
}
