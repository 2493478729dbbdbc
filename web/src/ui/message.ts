/** A whole area that has something to say instead of something to show. */

import { h } from "./dom";
import { icon, type IconName } from "./icons";

export interface Message {
  readonly icon: IconName;
  readonly title: string;
  readonly text?: string;
  /** Buttons or links, the first the most likely. */
  readonly actions?: readonly HTMLElement[];
  /** Told to screen readers at once. */
  readonly urgent?: boolean;
}

export function message(what: Message): HTMLElement {
  return h(
    "section",
    { class: "message", role: what.urgent ? "alert" : null },
    h("div", { class: "message-icon" }, icon(what.icon, 28)),
    h("h2", {}, what.title),
    what.text !== undefined && h("p", {}, what.text),
    (what.actions?.length ?? 0) > 0 && h("div", { class: "actions" }, ...(what.actions ?? [])),
  );
}
