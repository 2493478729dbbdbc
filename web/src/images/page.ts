/** "Images": single images of a folder with their classes, which people look at and label. */

import "../styles/worklist.css";
import "./images.css";
import { cancelImageJob, type ImageJob, type StoredImage } from "../api/images";
import { problemText } from "../api/problem";
import { maySubmit } from "../api/session";
import { takeDrops } from "../ui/drop";
import { fill, h } from "../ui/dom";
import { plural } from "../ui/format";
import { toast } from "../ui/toast";
import { choose, countClasses, FILTERS, FIRST_CHOICE, isIn, readChoice, writeChoice, type Choice } from "./choice";
import { ImagesData } from "./data";
import { Grid } from "./grid";
import { JobLine } from "./job_line";
import { Labelling } from "./labelling";
import { Note } from "./note";
import { Opened } from "./opened";
import { fromDrop, type Picking } from "./picking";
import { showShortcuts, takeKeys } from "./shortcuts";
import { Toolbar } from "./toolbar";
import { TransferPanel } from "./transfer_panel";
import { transfers } from "./transfers";

export function mount(root: HTMLElement): () => void {
  return new ImagesPage(root).start();
}

class ImagesPage {
  readonly #data = new ImagesData(() => {
    this.#later();
  });
  readonly #labelling = new Labelling(this.#data, () => {
    this.#later();
  });
  readonly #toolbar: Toolbar;
  readonly #panel = new TransferPanel();
  readonly #line: JobLine;
  readonly #grid: Grid;
  readonly #note: Note;
  readonly #undo: (() => void)[] = [];
  #choice: Choice = readChoice(location.search);
  #opened: Opened | null = null;
  /** The images in the grid, in their order. */
  #shown: readonly StoredImage[] = [];
  #frame = 0;
  /** Another view has the page, and the address. */
  #gone = false;

  constructor(root: HTMLElement) {
    this.#toolbar = new Toolbar({
      onPick: (picking) => {
        this.#take(picking);
      },
      onJob: (id) => {
        const job = this.#data.jobs.find((one) => one.id === id);
        if (job !== undefined) this.#look(job);
      },
      onChoice: (change) => {
        this.#choose(change);
      },
      onModel: () => {
        this.#later();
      },
    });
    this.#line = new JobLine(
      (called) => {
        this.#choose({ called });
      },
      () => void this.#cancel(),
    );
    this.#grid = new Grid({
      onOpen: (image) => {
        this.#open(image);
      },
      onKey: (image, key) => this.#labelling.key(image, key),
    });
    this.#note = new Note({
      onFolder: () => {
        this.#toolbar.chooseFolder();
      },
      onFiles: () => {
        this.#toolbar.chooseFiles();
      },
      onAll: () => {
        this.#choose({ search: "", filter: "all", called: "" });
      },
      onAgain: () => void this.#begin(),
    });
    root.classList.add("worklist-page", "images-page");
    fill(
      root,
      this.#toolbar.element,
      this.#panel.element,
      this.#line.element,
      this.#grid.element,
      this.#note.element,
      h(
        "footer",
        { class: "page-foot" },
        h("button", { class: "button plain small", type: "button", on: { click: showShortcuts } }, "Keyboard shortcuts", h("kbd", {}, "?")),
      ),
    );
  }

  start(): () => void {
    document.title = "Images · WSI Pipeline";
    this.#undo.push(
      this.#labelling.guard(),
      takeKeys(() => {
        this.#toolbar.search();
      }),
      takeDrops("Drop a folder of images, or images", (transfer) => {
        fromDrop(transfer).then(
          (picking) => {
            this.#take(picking);
          },
          (error: unknown) => {
            toast(`The folder cannot be read: ${problemText(error)}`, "wrong");
          },
        );
      }),
      transfers.listen({
        onChange: () => {
          this.#panel.show();
        },
        onJobs: (jobs) => {
          this.#onJobs(jobs);
        },
      }),
    );
    this.#grid.start();
    this.#panel.show();
    void this.#begin();
    return () => {
      this.#gone = true;
      for (const undo of this.#undo) undo();
      cancelAnimationFrame(this.#frame);
      this.#data.stop();
      this.#close();
      this.#grid.stop();
    };
  }

  async #begin(): Promise<void> {
    this.#show();
    await this.#data.start(this.#choice.job);
    if (this.#gone) return;
    const { job } = this.#data;
    if (this.#choice.job !== null && job?.id !== this.#choice.job && this.#data.listed) {
      toast("The folder of this address is not there any more.", "wrong");
      this.#choice = { ...this.#choice, image: null };
    }
    this.#choice = { ...this.#choice, job: job?.id ?? null };
    this.#address();
    this.#show();
    const image = this.#data.images.find(({ id }) => id === this.#choice.image);
    if (image !== undefined) this.#open(image);
  }

  #take(picking: Picking): void {
    const { model } = this.#toolbar;
    if (!maySubmit()) {
      toast("Your key allows reading only: nothing was sent.", "wrong");
    } else if (picking.images.length === 0) {
      toast("There is no PNG, JPEG, TIFF, BMP or WebP image among these files.", "wrong");
    } else if (model === null) {
      toast("No model that answers with classes is installed on the server.", "wrong");
    } else {
      if (picking.leftOut > 0) toast(`${plural(picking.leftOut, "file was", "files were")} left out: the name does not end like an image's.`);
      transfers.add(picking, model);
    }
  }

  #onJobs(jobs: readonly ImageJob[]): void {
    for (const job of jobs) this.#data.add(job);
    const [first] = jobs;
    if (first === undefined) return;
    // Who looks at an image is not torn away from it.
    if (this.#opened === null) this.#look(first);
    else toast(`${first.name} is being classified: it is in the menu of folders.`);
  }

  #look(job: ImageJob): void {
    const { sort } = this.#choice;
    this.#close();
    this.#choice = { ...FIRST_CHOICE, sort, job: job.id };
    this.#address();
    window.scrollTo(0, 0);
    void this.#data.look(job);
  }

  #choose(change: Partial<Choice>): void {
    this.#choice = { ...this.#choice, ...change };
    this.#address();
    this.#show();
  }

  #address(): void {
    if (!this.#gone) history.replaceState(null, "", location.pathname + writeChoice(this.#choice));
  }

  async #cancel(): Promise<void> {
    const { job } = this.#data;
    if (job === null) return;
    try {
      await cancelImageJob(job.id);
    } catch (error) {
      toast(problemText(error), "wrong");
    }
    await this.#data.refresh();
  }

  #open(image: StoredImage): void {
    this.#close();
    const opened = new Opened(
      this.#labelling.on(image),
      this.#shown.map(({ id }) => id),
      (id) => this.#data.images.find((one) => one.id === id),
      {
        onMove: (id) => {
          this.#turnTo(id);
        },
        onClose: (id) => {
          // Otherwise the page closed it, and shows something else by now.
          if (this.#opened !== opened) return;
          this.#opened = null;
          this.#choose({ image: null });
          this.#grid.focus(id);
        },
        onKey: (one, key) => {
          if (key !== "Enter") return this.#labelling.key(one, key);
          this.#labelling.accept(one);
          return true;
        },
        onClass: (one, name) => {
          this.#labelling.choose(one, name);
        },
        onLabel: (one, label) => {
          this.#labelling.set(one, label);
        },
      },
    );
    this.#opened = opened;
    this.#turnTo(image.id);
  }

  #close(): void {
    const opened = this.#opened;
    this.#opened = null;
    opened?.close();
  }

  /** Show another image in the dialog, and what others said of it since. */
  #turnTo(id: string): void {
    this.#choice = { ...this.#choice, image: id };
    this.#address();
    this.#showOpened(id);
    this.#data.refreshLabels(id).catch(() => null);
  }

  #showOpened(id: string): void {
    const { model, isCurrent, classes } = this.#data;
    const image = this.#data.images.find((one) => one.id === id);
    if (image !== undefined) this.#opened?.show(this.#labelling.on(image), model, isCurrent, classes);
  }

  /** Many news, one drawing. */
  #later(): void {
    if (this.#frame !== 0 || this.#gone) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#show();
    });
  }

  #show(): void {
    const { job, model, models, jobs, classes } = this.#data;
    const images = this.#data.images.map((image) => this.#labelling.on(image));
    const choice = this.#choice;
    this.#shown = choose(images, choice);
    this.#toolbar.showModels(models);
    this.#toolbar.showJobs(jobs, job);
    this.#toolbar.showChoice(
      choice,
      new Map(FILTERS.map((filter) => [filter, images.filter((image) => isIn(image, { search: choice.search, filter })).length])),
    );
    this.#line.show(job, model);
    const forNew = maySubmit() ? this.#toolbar.model : null;
    this.#line.showNotices([model, forNew].filter((one) => one !== null));
    this.#line.showClasses(classes, countClasses(images, choice), model, choice.called);
    this.#grid.element.hidden = this.#shown.length === 0;
    this.#grid.show(this.#shown, model?.class_colours ?? {});
    this.#note.show(this.#data, this.#shown.length);
    if (this.#opened !== null) this.#showOpened(this.#opened.id);
  }
}
