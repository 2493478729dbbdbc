/** Modal dialogs: the browser's own, so focus, Escape and the background are handled. */

import { h, type Child } from "./dom";
import { icon } from "./icons";

export interface DialogParts {
  readonly title: string;
  readonly body: readonly Child[];
  /** Buttons, the decisive one last. */
  readonly buttons: readonly HTMLElement[];
}

let made = 0;

/** Show a dialog; it is gone from the page once it is closed. */
export function openDialog(parts: DialogParts): HTMLDialogElement {
  const id = `dialog-${String(++made)}`;
  const dialog = h(
    "dialog",
    { "aria-labelledby": id },
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id }, parts.title),
      h(
        "button",
        {
          class: "button plain icon-only",
          type: "button",
          "aria-label": "Close",
          on: { click: () => { dialog.close(); } },
        },
        icon("close"),
      ),
    ),
    h("div", { class: "dialog-body" }, ...parts.body),
    h("div", { class: "dialog-foot" }, ...parts.buttons),
  );
  dialog.addEventListener("close", () => { dialog.remove(); });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Ask before something that cannot be undone. */
export function confirm(title: string, text: string, action: string): Promise<boolean> {
  return new Promise((resolve) => {
    let agreed = false;
    const dialog = openDialog({
      title,
      body: [h("p", {}, text)],
      buttons: [
        h("button", { class: "button", type: "button", autofocus: true, on: { click: () => { dialog.close(); } } }, "Keep"),
        h(
          "button",
          {
            class: "button danger",
            type: "button",
            on: {
              click: () => {
                agreed = true;
                dialog.close();
              },
            },
          },
          action,
        ),
      ],
    });
    dialog.addEventListener("close", () => { resolve(agreed); });
  });
}
