/** What an address shows behind which there is nothing. */

import { fill, h } from "./dom";
import { message } from "./message";

export function mount(root: HTMLElement): () => void {
  document.title = "Not here · WSI Pipeline";
  fill(
    root,
    message({
      icon: "search",
      title: "There is nothing at this address",
      text: "The link may be incomplete, or what it showed was deleted.",
      actions: [h("a", { class: "button", href: "/" }, "To the worklist")],
    }),
  );
  return () => {
    root.replaceChildren();
  };
}
