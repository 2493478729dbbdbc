/** My labels: shown at once, kept in the order they were given, undone where the server refuses. */

import type { StoredImage } from "../api/images";

export interface LabelEvents {
  /** Keep a label on the server; null takes it back. */
  readonly write: (id: string, label: string | null) => Promise<void>;
  /** The server has it. */
  readonly onKept: (id: string, label: string | null) => void;
  /** What is shown changed. */
  readonly onChange: () => void;
  /** The server has it not, and what was there before is shown again. */
  readonly onFailed: (id: string, error: unknown) => void;
}

export class Labels {
  readonly #events: LabelEvents;
  /** What the server does not have yet, by the image's id. */
  readonly #wanted = new Map<string, string | null>();
  /** Images that something is being written of: one request at a time, so that none overtakes. */
  readonly #busy = new Set<string>();

  constructor(events: LabelEvents) {
    this.#events = events;
  }

  /** The label to show. */
  of(image: StoredImage): string | null {
    const wanted = this.#wanted.get(image.id);
    return wanted === undefined ? image.label : wanted;
  }

  /** An image as it is to be shown. */
  on(image: StoredImage): StoredImage {
    const label = this.of(image);
    return label === image.label ? image : { ...image, label };
  }

  /** Whether the server has to be told something yet. */
  get open(): boolean {
    return this.#wanted.size > 0;
  }

  /** Set a label or, with null, take it back; resolves once the server was told. */
  async set(image: StoredImage, label: string | null): Promise<void> {
    const { id } = image;
    if (this.of(image) === label) return;
    this.#wanted.set(id, label);
    this.#events.onChange();
    if (this.#busy.has(id)) return;
    this.#busy.add(id);
    try {
      for (let next = this.#wanted.get(id); next !== undefined; next = this.#wanted.get(id)) {
        await this.#events.write(id, next);
        this.#events.onKept(id, next);
        if (this.#wanted.get(id) === next) this.#wanted.delete(id);
      }
    } catch (error) {
      this.#wanted.delete(id);
      this.#events.onFailed(id, error);
    } finally {
      this.#busy.delete(id);
      this.#events.onChange();
    }
  }
}
