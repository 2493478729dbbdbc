/** The list of uploads: what each does, what it waits for, and what can be done about it. */

import { fill, h, setText } from "../ui/dom";
import { bytes, duration, percent, plural } from "../ui/format";
import { icon, type IconName } from "../ui/icons";
import { toast } from "../ui/toast";
import type { UploadState, UploadView } from "./entry";
import { ACCEPTED } from "./files";
import { uploads } from "./uploads";

interface Row {
  readonly element: HTMLElement;
  readonly told: HTMLElement;
  readonly bar: HTMLElement;
  readonly fillOf: HTMLElement;
  readonly buttons: HTMLElement;
  state: string;
}

export class UploadPanel {
  readonly element = h("section", { class: "card uploads", "aria-label": "Uploads", hidden: true });
  readonly #title = h("h2", {});
  readonly #clear = button("Clear finished", "check", () => {
    uploads.clearDone();
  });
  readonly #list = h("ul", { class: "upload-list" });
  readonly #rows = new Map<string, Row>();

  constructor() {
    this.element.append(
      h("div", { class: "card-head" }, this.#title, this.#clear),
      this.#list,
    );
  }

  show(views: readonly UploadView[]): void {
    this.element.hidden = views.length === 0;
    const open = views.filter(({ state }) => state !== "done" && state !== "refused");
    const through = views.every(({ state, problem }) => state === "done" && problem === null);
    setText(
      this.#title,
      through
        ? `${plural(views.length, "slide")} uploaded`
        : open.length > 0
          ? `Uploading ${plural(open.length, "file")}`
          : "Uploads",
    );
    // What is through is in the table.
    this.#list.hidden = through;
    this.#clear.hidden = !views.some(({ state }) => state === "done");
    const ids = new Set(views.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    for (const view of views) this.#show(view);
  }

  #show(view: UploadView): void {
    let row = this.#rows.get(view.id);
    if (row === undefined) {
      row = makeRow(view);
      this.#rows.set(view.id, row);
      this.#list.append(row.element);
    }
    const share = view.size === 0 ? 1 : view.sent / view.size;
    row.fillOf.style.setProperty("width", `${(share * 100).toFixed(2)}%`);
    row.bar.setAttribute("aria-valuenow", String(Math.floor(share * 100)));
    row.bar.hidden = view.state === "done" || view.state === "refused";
    setText(row.told, sentence(view));
    const state = `${view.state}|${view.problem ?? ""}`;
    if (row.state === state) return;
    row.state = state;
    row.element.dataset["state"] = view.state;
    const focused = row.buttons.contains(document.activeElement);
    fill(row.buttons, ...buttonsOf(view));
    if (focused) row.buttons.querySelector("button")?.focus();
  }
}

function makeRow(view: UploadView): Row {
  const told = h("span", { class: "upload-told quiet numbers" });
  const fillOf = h("span", {});
  const bar = h(
    "div",
    {
      class: "bar",
      role: "progressbar",
      "aria-label": `Upload of ${view.name}`,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    },
    fillOf,
  );
  const buttons = h("div", { class: "upload-buttons" });
  const element = h(
    "li",
    { class: "upload", "data-upload": view.id },
    h("span", { class: "upload-name cut", title: view.name }, view.name),
    told,
    bar,
    buttons,
  );
  return { element, told, bar, fillOf, buttons, state: "" };
}

/** What an upload does, in one line. */
export function sentence(view: UploadView): string {
  const share = view.size === 0 ? 100 : (100 * view.sent) / view.size;
  const soFar = `${percent(Math.min(share, 100))} of ${bytes(view.size)}`;
  switch (view.state) {
    case "queued":
      return `${bytes(view.size)} · waiting`;
    case "sending": {
      const parts = [soFar];
      if (view.speed !== null) parts.push(`${bytes(view.speed)}/s`);
      if (view.left !== null) parts.push(`${duration(view.left)} left`);
      return parts.join(" · ");
    }
    case "waiting":
      return `${soFar} · no connection; continues when the server answers`;
    case "paused":
      return `${soFar} · paused`;
    case "ask":
      return `${soFar} · stopped when the page was closed; the browser will ask for access to the file`;
    case "choose":
      return `${soFar} · stopped when the page was closed; choose the same file again to continue`;
    case "elsewhere":
      return "Another tab of this browser is uploading this file";
    case "done":
      return view.problem ?? `${bytes(view.size)} · uploaded`;
    case "refused":
      return `Refused: ${view.problem ?? ""}`;
  }
}

function buttonsOf(view: UploadView): HTMLElement[] {
  const { id, name } = view;
  const drop = button(
    view.state === "done" || view.state === "refused" ? `Remove ${name} from the list` : `Cancel ${name}`,
    "close",
    () => void uploads.remove(id),
    true,
  );
  const main: Partial<Record<UploadState, HTMLElement>> = {
    sending: button(`Pause ${name}`, "pause", () => void uploads.pause(id), true),
    waiting: button(`Pause ${name}`, "pause", () => void uploads.pause(id), true),
    paused: button("Continue", "play", () => void uploads.resume(id)),
    ask: button("Continue", "play", () => void uploads.resume(id)),
    choose: button("Choose file…", "folder", () => {
      chooseAgain(view);
    }),
  };
  const first = main[view.state];
  const last = view.state === "elsewhere" ? [] : [drop];
  return first === undefined ? last : [first, ...last];
}

function chooseAgain(view: UploadView): void {
  const input = h("input", { type: "file", accept: ACCEPTED });
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file && !uploads.resumeWith(view.id, file)) {
      toast(`This is another file. Wanted: ${view.name}, ${bytes(view.size)}.`, "wrong");
    }
  });
  input.click();
}

function button(text: string, name: IconName, act: () => void, bare = false): HTMLButtonElement {
  return h(
    "button",
    {
      class: bare ? "button plain icon-only" : "button plain",
      type: "button",
      title: bare ? text : null,
      "aria-label": bare ? text : null,
      on: { click: act },
    },
    icon(name, 16),
    bare ? null : text,
  );
}
