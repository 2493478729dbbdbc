/** All selections of images that this page sends, one after another. */

import type { ImageJob } from "../api/images";
import type { Model } from "../api/models";
import type { Picking } from "./picking";
import { Transfer } from "./transfer";

export interface TransferListener {
  readonly onChange: () => void;
  /** Their classes were asked for. */
  readonly onJobs: (jobs: readonly ImageJob[]) => void;
}

export class Transfers {
  readonly #all: Transfer[] = [];
  readonly #listeners = new Set<TransferListener>();
  #running: Transfer | null = null;
  #frame = 0;

  constructor() {
    window.addEventListener("beforeunload", (event) => {
      // Other views of the page leave it alive; closing it ends what is under way.
      if (this.#running !== null) event.preventDefault();
    });
    for (const end of ["wsi:signing-out", "wsi:signed-out"]) {
      window.addEventListener(end, () => {
        for (const transfer of this.#all) transfer.stop();
      });
    }
  }

  listen(listener: TransferListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get all(): readonly Transfer[] {
    return this.#all;
  }

  add(picking: Picking, model: Model): void {
    this.#all.push(new Transfer(picking, model, () => {
      this.#changed();
    }));
    this.#changed();
    void this.#run();
  }

  /** Take one off the list; one that is under way is stopped. */
  remove(transfer: Transfer): void {
    transfer.stop();
    const place = this.#all.indexOf(transfer);
    if (place !== -1) this.#all.splice(place, 1);
    this.#changed();
  }

  async #run(): Promise<void> {
    if (this.#running !== null) return;
    for (;;) {
      const next = this.#all.find((transfer) => transfer.open);
      if (next === undefined) return;
      this.#running = next;
      await next.run();
      this.#running = null;
      if (next.jobs.length > 0) {
        // What went well is in the grid now.
        if (next.failures.length === 0) this.remove(next);
        for (const { onJobs } of this.#listeners) onJobs(next.jobs);
      }
    }
  }

  /** Tell the page, at most once a frame. */
  #changed(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      for (const { onChange } of this.#listeners) onChange();
    });
  }
}

/** The one of this page: images go on being sent while the user looks at slides. */
export const transfers = new Transfers();
