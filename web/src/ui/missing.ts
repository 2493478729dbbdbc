/** What an address shows behind which there is nothing. */

import { fill, h } from "./dom";
import { message } from "./message";

export function mount(root: HTMLElement): () => void {
  document.title = "Page not found · WSI Pipeline";
  fill(
    root,
    message({
      icon: "search",
      title: "Page not found",
      text: "The link may be incomplete, or the slide was deleted.",
      actions: [h("a", { class: "button", href: "/" }, "To the worklist")],
    }),
  );
  return () => {
    root.replaceChildren();
  };
}
