/** All uploads of this browser: two at a time, the others wait; none is lost by a reload. */

import { createJobs } from "../api/jobs";
import { problemText } from "../api/problem";
import { Entry, type UploadView } from "./entry";
import type { Picked } from "./files";
import { fingerprintOf, Records, type UploadRecord } from "./records";
import { heldElsewhere, hold, readable, untilReleased } from "./tabs";
import { discard, Transfer } from "./transfer";

/** A browser has six lines to a server, and the page wants some for itself. */
const AT_ONCE = 2;
const SHOWN_MS = 250;

export interface UploadListener {
  readonly onChange: () => void;
  /** A slide has come into being. */
  readonly onSlide: (slideId: string) => void;
  /** Its analysis was asked for. */
  readonly onJobs: () => void;
}

export class Uploads {
  readonly #records = new Records();
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<UploadListener>();
  #restored: Promise<void> | null = null;
  #timer: number | null = null;

  listen(listener: UploadListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get views(): UploadView[] {
    return [...this.#entries.values()].map((entry) => entry.view);
  }

  /** What an earlier page left; once. */
  restore(): Promise<void> {
    this.#restored ??= this.#restore();
    return this.#restored;
  }

  async #restore(): Promise<void> {
    const records = await this.#records.all();
    const elsewhere = await heldElsewhere(records.map(({ id }) => id));
    for (const record of records) {
      if (this.#entries.has(record.id)) continue;
      const entry = this.#enter(record, null);
      if (record.slideId !== null) {
        // All bytes were there; only its analysis may not have been asked for.
        void this.#finish(entry, record.slideId);
      } else if (elsewhere.has(record.id)) {
        entry.state = "elsewhere";
        void this.#takeOver(entry);
      } else {
        await this.#revive(entry);
      }
    }
    this.#changed();
  }

  /** Of one an earlier page left: go on by itself if the browser allows, else ask for it. */
  async #revive(entry: Entry): Promise<void> {
    const { handle, paused } = entry.record;
    if (handle === null) entry.state = "choose";
    else if (!paused && (await readable(handle))) await this.#reopen(entry);
    else entry.state = "ask";
  }

  /** When the other tab is through with it, or gone. */
  async #takeOver(entry: Entry): Promise<void> {
    await untilReleased(entry.record.id);
    const left = (await this.#records.all()).find(({ id }) => id === entry.record.id);
    if (left === undefined) {
      this.#entries.delete(entry.record.id);
    } else {
      entry.record = left;
      entry.sent = left.offset;
      await this.#revive(entry);
    }
    this.#changed();
  }

  /** Begin to upload files; one that was left unfinished goes on where it was. */
  async add(picked: readonly Picked[], model: string | null): Promise<void> {
    await this.restore();
    for (const { file, handle } of picked) {
      const fingerprint = fingerprintOf(file);
      const known = [...this.#entries.values()].find(
        (entry) => entry.record.fingerprint === fingerprint && entry.isOpen(),
      );
      if (known) {
        if (known.file === null && known.state !== "elsewhere") this.#give(known, file);
        continue;
      }
      const record: UploadRecord = {
        id: newId(),
        fingerprint,
        name: file.name,
        size: file.size,
        addedAt: Date.now() + this.#entries.size / 1000,
        url: null,
        offset: 0,
        paused: false,
        slideId: null,
        model,
        handle,
      };
      const entry = this.#enter(record, file);
      await this.#keep(entry, {});
    }
    this.#next();
  }

  /** Go on with one that an earlier page left, with the file as it was chosen again. */
  resumeWith(id: string, file: File): boolean {
    const entry = this.#entries.get(id);
    if (entry?.record.fingerprint !== fingerprintOf(file)) return false;
    this.#give(entry, file);
    this.#next();
    return true;
  }

  async pause(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry) return;
    await this.#halt(entry);
    entry.state = "paused";
    await this.#keep(entry, { paused: true });
    this.#next();
  }

  /** Go on; has to be called by a click where the browser asks whether the file may be read. */
  async resume(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry) return;
    if (entry.file !== null) {
      entry.state = "queued";
      await this.#keep(entry, { paused: false });
      this.#next();
    } else if (entry.record.handle !== null) {
      if (await readable(entry.record.handle, true)) await this.#reopen(entry);
      else entry.state = "choose";
    }
    this.#changed();
  }

  /** Take it off the list; what the server has of it is given up. */
  async remove(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#entries.delete(id);
    await this.#halt(entry);
    await this.#records.remove(id);
    this.#next();
    if (entry.record.url !== null && entry.record.slideId === null) await discard(entry.record.url);
  }

  /** Take those off the list that are through. */
  clearDone(): void {
    for (const [id, entry] of this.#entries) {
      if (entry.state === "done" && entry.problem === null) this.#entries.delete(id);
    }
    this.#changed();
  }

  #enter(record: UploadRecord, file: File | null): Entry {
    const entry = new Entry(record, file);
    this.#entries.set(record.id, entry);
    return entry;
  }

  /** Read the file by its handle; it may have changed or be gone. */
  async #reopen(entry: Entry): Promise<void> {
    try {
      const file = await entry.record.handle?.getFile();
      if (file && fingerprintOf(file) === entry.record.fingerprint) {
        this.#give(entry, file);
        this.#next();
        return;
      }
    } catch {
      // Moved or deleted: the user knows where.
    }
    entry.state = "choose";
  }

  #give(entry: Entry, file: File): void {
    entry.file = file;
    entry.state = "queued";
    void this.#keep(entry, { paused: false });
  }

  #next(): void {
    const busy = [...this.#entries.values()].filter(({ transfer }) => transfer !== null).length;
    const waiting = [...this.#entries.values()].filter(
      ({ state, file, transfer }) => state === "queued" && file !== null && transfer === null,
    );
    for (const entry of waiting.slice(0, Math.max(0, AT_ONCE - busy))) this.#begin(entry);
    this.#changed();
  }

  #begin(entry: Entry): void {
    if (entry.file === null) return;
    const transfer = new Transfer(entry.file, entry.record.url, {
      onUrl: (url) => void this.#keep(entry, { url, offset: 0 }),
      onSent: (bytes) => {
        entry.sent = bytes;
        entry.state = "sending";
        entry.pace.add(bytes, performance.now());
        this.#changed();
      },
      onSafe: (offset) => void this.#keep(entry, { offset }),
      onWait: () => {
        entry.state = "waiting";
        entry.pace.reset();
        this.#changed();
      },
      onResume: () => {
        entry.state = "sending";
        this.#changed();
      },
      onDone: (slideId) => {
        entry.transfer = null;
        entry.sent = entry.record.size;
        void this.#finish(entry, slideId);
        this.#next();
      },
      onRefused: (text) => {
        entry.transfer = null;
        entry.state = "refused";
        entry.problem = text;
        entry.release?.();
        void this.#records.remove(entry.record.id);
        this.#next();
      },
    });
    entry.transfer = transfer;
    entry.state = "sending";
    entry.release = hold(entry.record.id);
    transfer.start();
  }

  /** All bytes are there: ask for the analysis that was wished for, then forget the upload. */
  async #finish(entry: Entry, slideId: string | null): Promise<void> {
    entry.state = "done";
    const { id, model } = entry.record;
    await this.#keep(entry, { slideId });
    this.#changed();
    if (slideId !== null) {
      for (const { onSlide } of this.#listeners) onSlide(slideId);
      if (model !== null) {
        try {
          await createJobs([{ slide_id: slideId, model }], `upload-${id}`);
          for (const { onJobs } of this.#listeners) onJobs();
        } catch (error) {
          entry.problem = `Uploaded, but not queued: ${problemText(error)}`;
        }
      }
    }
    entry.release?.();
    await this.#records.remove(id);
    this.#changed();
  }

  async #halt(entry: Entry): Promise<void> {
    const { transfer } = entry;
    entry.transfer = null;
    entry.pace.reset();
    entry.release?.();
    await transfer?.stop();
  }

  async #keep(entry: Entry, change: Partial<UploadRecord>): Promise<void> {
    entry.record = { ...entry.record, ...change };
    if (this.#entries.get(entry.record.id) === entry) await this.#records.put(entry.record);
  }

  /** Tell the page, at most a few times a second. */
  #changed(): void {
    if (this.#timer !== null) return;
    this.#timer = window.setTimeout(() => {
      this.#timer = null;
      for (const { onChange } of this.#listeners) onChange();
    }, SHOWN_MS);
  }
}

/** Random, also where the page came over plain http. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The one of this page: uploads go on while the user looks at slides. */
export const uploads = new Uploads();
