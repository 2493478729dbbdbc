/** What is being sent, how far it is, and which images could not be sent. */

import { fill, h, setText } from "../ui/dom";
import { count, plural } from "../ui/format";
import { icon } from "../ui/icons";
import type { Transfer } from "./transfer";
import { transfers } from "./transfers";

interface Row {
  readonly element: HTMLElement;
  readonly told: HTMLElement;
  readonly bar: HTMLElement;
  readonly inside: HTMLElement;
  readonly failures: HTMLElement;
  shown: number;
}

export class TransferPanel {
  readonly element = h("section", { class: "card image-transfers", "aria-label": "Images being sent", hidden: true });
  readonly #rows = new Map<Transfer, Row>();

  show(): void {
    const all = transfers.all;
    this.element.hidden = all.length === 0;
    for (const [transfer, row] of this.#rows) {
      if (all.includes(transfer)) continue;
      row.element.remove();
      this.#rows.delete(transfer);
    }
    for (const transfer of all) this.#show(transfer);
  }

  #show(transfer: Transfer): void {
    let row = this.#rows.get(transfer);
    if (row === undefined) {
      row = makeRow(transfer);
      this.#rows.set(transfer, row);
      this.element.append(row.element);
    }
    const { total, sent, failures } = transfer;
    const share = total === 0 ? 1 : (sent + failures.length) / total;
    row.bar.hidden = !transfer.open;
    row.inside.style.setProperty("width", `${(share * 100).toFixed(2)}%`);
    row.bar.setAttribute("aria-valuenow", String(Math.floor(share * 100)));
    setText(row.told, sentence(transfer));
    row.told.classList.toggle("wrong", transfer.problem !== null);
    for (const { text } of failures.slice(row.shown)) row.failures.append(h("li", {}, text));
    row.shown = failures.length;
    row.failures.hidden = failures.length === 0;
  }
}

function makeRow(transfer: Transfer): Row {
  const told = h("p", { class: "quiet numbers", role: "status" });
  const inside = h("span", {});
  const bar = h(
    "div",
    { class: "bar", role: "progressbar", "aria-label": `Sending ${transfer.name}`, "aria-valuemin": 0, "aria-valuemax": 100 },
    inside,
  );
  const failures = h("ul", { class: "image-failures", tabindex: 0, "aria-label": "Images that were not sent" });
  const close = h(
    "button",
    { class: "button plain icon-only", type: "button", on: { click: () => { transfers.remove(transfer); } } },
    icon("close", 16),
  );
  close.setAttribute("aria-label", `Stop sending ${transfer.name}, or take it off the list`);
  close.title = "Stop, or take off the list";
  const element = h("div", { class: "image-transfer" });
  fill(element, h("b", { class: "cut" }, transfer.name), close, told, bar, failures);
  return { element, told, bar, inside, failures, shown: 0 };
}

/** How far a selection is, in one line. */
export function sentence(transfer: Pick<Transfer, "state" | "sent" | "known" | "total" | "failures" | "problem">): string {
  const { state, sent, known, total, failures, problem } = transfer;
  const parts = [`${count(sent)} of ${plural(total, "image")} sent`];
  if (known > 0) parts.push(`${count(known)} of them the server had`);
  if (failures.length > 0) parts.push(`${count(failures.length)} not sent`);
  if (state === "waiting") parts.push("no connection; continues when the server answers");
  if (state === "asking") parts.push("asking for their classes");
  if (state === "stopped") parts.push("stopped");
  if (problem !== null) parts.push(problem);
  return parts.join(" · ");
}
