/** The worklist: every slide of the workspace, the most suspicious first. */

import "../styles/worklist.css";
import type { Slide } from "../api/slides";
import { problemText } from "../api/problem";
import { maySubmit } from "../api/session";
import { UploadPanel } from "../uploads/panel";
import { fromDrop, type Picking } from "../uploads/files";
import { uploads } from "../uploads/uploads";
import { fill, h } from "../ui/dom";
import { plural } from "../ui/format";
import { icon } from "../ui/icons";
import { takeDrops } from "../ui/drop";
import { message } from "../ui/message";
import { toast } from "../ui/toast";
import { Actions } from "./actions";
import { readChoice, writeChoice } from "./address";
import { WorklistData } from "./data";
import { Keyboard, showShortcuts } from "./keyboard";
import { choose, FIRST_CHOICE, type Choice } from "./lines";
import type { RowContext } from "./row";
import { Table } from "./table";
import { Toolbar } from "./toolbar";

class Worklist {
  readonly #data = new WorklistData(() => {
    this.#later();
  });
  readonly #actions = new Actions(this.#data);
  readonly #toolbar: Toolbar;
  readonly #table: Table;
  readonly #panel = new UploadPanel();
  readonly #note = h("div", { class: "note" });
  readonly #keyboard: Keyboard;
  readonly #selected = new Set<string>();
  readonly #undo: (() => void)[] = [];
  #choice: Choice = readChoice(location.search);
  #frame: number | null = null;
  /** What the note says, so that it is made anew only when that changed. */
  #noted = "";

  constructor(root: HTMLElement) {
    this.#toolbar = new Toolbar({
      onPick: (picking) => void this.#upload(picking),
      onSearch: (search) => {
        this.#choose({ search });
      },
      onFilter: (filter) => {
        this.#choose({ filter });
      },
      onAnalyse: () => {
        this.#analyse();
      },
      onDelete: () => void this.#actions.deleteSlides(this.#marked()),
      onClear: () => {
        this.#clear();
      },
    });
    this.#table = new Table((sort) => {
      const reversed = sort === this.#choice.sort && !this.#choice.reversed;
      this.#choose({ sort, reversed });
    });
    this.#keyboard = new Keyboard(this.#table.table, {
      search: () => {
        this.#toolbar.search.select();
      },
      add: () => {
        if (maySubmit()) this.#toolbar.chooseFiles();
      },
      analyse: () => {
        this.#analyse();
      },
      select: () => {
        const id = this.#keyboard.currentSlide;
        if (id !== null) this.#select(id, !this.#selected.has(id));
      },
      remove: () => void this.#actions.deleteSlides(this.#marked()),
    });
    root.classList.add("worklist-page");
    fill(
      root,
      this.#toolbar.element,
      this.#panel.element,
      h("div", { class: "card" }, this.#table.element, this.#note),
      h(
        "footer",
        { class: "page-foot" },
        h(
          "button",
          { class: "button plain small", type: "button", on: { click: showShortcuts } },
          "Keyboard shortcuts",
          h("kbd", {}, "?"),
        ),
      ),
    );
    this.#toolbar.search.value = this.#choice.search;
  }

  start(): () => void {
    document.title = "Worklist · WSI Pipeline";
    this.#undo.push(
      uploads.listen({
        onChange: () => {
          this.#panel.show(uploads.views);
          this.#later();
        },
        onSlide: (slideId) => void this.#data.addSlide(slideId).catch(() => this.#data.load()),
        onJobs: () => void this.#data.load(),
      }),
      takeDrops("Drop slides to upload them", (transfer) => {
        void fromDrop(transfer).then((picking) => this.#upload(picking));
      }),
    );
    this.#keyboard.start();
    this.#data.start();
    this.#panel.show(uploads.views);
    void uploads.restore();
    this.#show();
    return () => {
      this.#keyboard.stop();
      this.#data.stop();
      for (const undo of this.#undo) undo();
      if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    };
  }

  async #upload({ picked, leftOut }: Picking): Promise<void> {
    if (!maySubmit()) {
      toast("Your key allows reading only: nothing was uploaded.", "wrong");
      return;
    }
    if (leftOut > 0) toast(`${plural(leftOut, "file")} in the folder skipped: the name does not end like a slide's.`);
    if (picked.length > 0) await uploads.add(picked, this.#toolbar.afterUpload);
  }

  #choose(change: Partial<Choice>): void {
    this.#choice = { ...this.#choice, ...change };
    history.replaceState(null, "", location.pathname + writeChoice(this.#choice));
    this.#show();
  }

  #select(id: string, selected: boolean): void {
    if (selected) this.#selected.add(id);
    else this.#selected.delete(id);
    this.#show();
  }

  #clear(): void {
    this.#selected.clear();
    this.#show();
  }

  #analyse(): void {
    this.#actions.analyse(this.#marked(), () => {
      this.#clear();
    });
  }

  /** The selected slides, or else the one the keyboard is at; none for those who may only look. */
  #marked(): Slide[] {
    if (!maySubmit()) return [];
    const current = this.#keyboard.currentSlide;
    const ids = this.#selected.size > 0 || current === null ? [...this.#selected] : [current];
    return ids.map((id) => this.#data.slides.get(id)).filter((slide) => slide !== undefined);
  }

  /** Many news, one drawing. */
  #later(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.#show();
    });
  }

  #show(): void {
    const data = this.#data;
    this.#table.showSort(this.#choice);
    if (!data.loaded) {
      if (data.error === null) this.#table.showLoading();
      this.#table.element.hidden = data.error !== null;
      this.#say(data.error === null ? null : "error");
      return;
    }
    for (const id of this.#selected) if (!data.slides.has(id)) this.#selected.delete(id);
    const groups = data.groups;
    const chosen = choose(groups, this.#choice);
    this.#toolbar.showModels(data.models);
    this.#toolbar.showFilters(groups, this.#choice.filter);
    this.#toolbar.showSelected(this.#selected.size);
    this.#table.show(chosen, this.#context());
    this.#table.element.hidden = chosen.length === 0;
    this.#say(chosen.length > 0 ? null : groups.length === 0 ? "empty" : "nothing");
  }

  #context(): RowContext {
    return {
      actions: this.#actions,
      selected: this.#selected,
      onSelect: (id, selected) => {
        this.#select(id, selected);
      },
    };
  }

  #say(what: "error" | "empty" | "nothing" | null): void {
    const key = what === "error" ? problemText(this.#data.error) : (what ?? "");
    if (key === this.#noted) return;
    this.#noted = key;
    fill(this.#note, what === null ? null : this.#noteOf(what));
  }

  #noteOf(what: "error" | "empty" | "nothing"): HTMLElement {
    switch (what) {
      case "error":
        return message({
          icon: "warning",
          title: "The list could not be loaded",
          text: problemText(this.#data.error),
          urgent: true,
          actions: [button("Try again", () => void this.#data.load(), true)],
        });
      case "empty":
        return message({
          icon: "slide",
          title: "No slides yet",
          text:
            "Drop whole-slide images anywhere on this page, or choose them. " +
            "SVS, NDPI, SCN, BIF and TIFF can be uploaded as they are; slides of several files, such as MRXS and DICOM, as a ZIP.",
          actions: !maySubmit() ? [] : [
            button("Add slides", () => { this.#toolbar.chooseFiles(); }, true),
            button("Add folder", () => { this.#toolbar.chooseFolder(); }),
          ],
        });
      case "nothing":
        return message({
          icon: "search",
          title: "No slide matches",
          text: "No slide in the list has this name or this state.",
          actions: [
            button("Show all slides", () => {
              this.#toolbar.search.value = "";
              this.#choose({ search: "", filter: FIRST_CHOICE.filter });
            }),
          ],
        });
    }
  }
}

function button(text: string, act: () => void, primary = false): HTMLElement {
  const look = primary ? "button primary" : "button";
  const sign = text === "Add slides" ? icon("upload", 16) : null;
  return h("button", { class: look, type: "button", on: { click: act } }, sign, text);
}

/** Show the worklist in `root`; returns what takes it away again. */
export function mount(root: HTMLElement): () => void {
  return new Worklist(root).start();
}

