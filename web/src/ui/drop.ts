/** Files can be dropped anywhere on the page. */

import { h } from "./dom";
import { icon } from "./icons";

/**
 * Take drops until the returned function is called.
 *
 * @param invitation Shown while files are held over the page.
 * @param onDrop Has to take the files out at once: they are gone after the event.
 */
export function takeDrops(invitation: string, onDrop: (transfer: DataTransfer) => void): () => void {
  const sheet = h(
    "div",
    { class: "drop-sheet", hidden: true, "aria-hidden": "true" },
    h("div", { class: "drop-frame" }, icon("upload", 36), h("p", {}, invitation)),
  );
  document.body.append(sheet);
  /** Elements entered and not left: events come for each one under the pointer. */
  let depth = 0;
  const stop = new AbortController();
  const listen = (name: "dragenter" | "dragover" | "dragleave" | "drop", act: (event: DragEvent) => void) => {
    window.addEventListener(
      name,
      (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        act(event);
        sheet.hidden = depth === 0;
      },
      { signal: stop.signal },
    );
  };
  listen("dragenter", () => {
    depth += 1;
  });
  listen("dragover", (event) => {
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
    depth = Math.max(depth, 1);
  });
  listen("dragleave", () => {
    depth = Math.max(0, depth - 1);
  });
  listen("drop", (event) => {
    depth = 0;
    if (event.dataTransfer) onDrop(event.dataTransfer);
  });
  return () => {
    stop.abort();
    sheet.remove();
  };
}
