/**
 * The outboxes of this page. They outlive the view of a slide: what was not stored when it was left
 * is sent from the next view, and the browser asks before the page is closed.
 */

import { deleteDrawing, putDrawing } from "../../api/drawings";
import { signedIn } from "../../api/session";
import { toOrder } from "./drawing";
import { Outbox } from "./outbox";

const all = new Map<string, Outbox>();

/** The outbox of a slide and of who is signed in: nobody's drawings are stored as another's. */
export function outboxOf(slideId: string): Outbox {
  const name = `${slideId} ${signedIn()}`;
  let outbox = all.get(name);
  if (outbox === undefined) {
    if (all.size === 0) watch();
    outbox = new Outbox({
      put: async (drawing) => {
        const { author } = await putDrawing(slideId, drawing.id, toOrder(drawing));
        return { id: author.key_id, name: author.name };
      },
      remove: (id) => deleteDrawing(slideId, id),
    });
    all.set(name, outbox);
  }
  if (outbox.unsaved > 0) outbox.retry();
  return outbox;
}

function watch(): void {
  window.addEventListener("beforeunload", (event) => {
    if ([...all.values()].some((outbox) => outbox.unsaved > 0)) event.preventDefault();
  });
  for (const end of ["wsi:signing-out", "wsi:signed-out"]) {
    window.addEventListener(end, () => {
      for (const outbox of all.values()) outbox.hold();
    });
  }
}
