/** Files can be dropped anywhere on the page. */

import { h } from "../ui/dom";
import { icon } from "../ui/icons";
import { fromDrop, type Picking } from "../uploads/files";

/** Take drops until the returned function is called. */
export function takeDrops(onPick: (picking: Picking) => void): () => void {
  const sheet = h(
    "div",
    { class: "drop-sheet", hidden: true, "aria-hidden": "true" },
    h("div", { class: "drop-frame" }, icon("upload", 36), h("p", {}, "Drop slides to upload them")),
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
    if (event.dataTransfer) void fromDrop(event.dataTransfer).then(onPick);
  });
  return () => {
    stop.abort();
    sheet.remove();
  };
}
