/** Copying text, also where the browser does not let pages do so. */

import { toast } from "./toast";

/** Copy a text and say so; where that is not allowed, show it. */
export async function copyText(text: string, done: string): Promise<void> {
  // None on plain http to another host.
  const { clipboard } = navigator as { readonly clipboard?: Clipboard };
  try {
    if (clipboard === undefined) throw new Error("no clipboard");
    await clipboard.writeText(text);
  } catch {
    toast(`The browser does not allow copying. Copy it by hand: ${text}`, "wrong");
    return;
  }
  toast(done);
}
