/** Drawings on their way to the service: kept in the page, in order, until they are stored. */

import { ApiProblem, Unauthorised, problemText } from "../../api/problem";
import type { Author, Drawing } from "./drawing";

/** Stores and removes drawings; both may be repeated. */
export interface Sender {
  /** Whose it is. */
  put(drawing: Drawing): Promise<Author>;
  remove(id: string): Promise<void>;
}

/** A drawing as it is to be stored; null: it is to be removed. */
interface Order {
  readonly id: string;
  readonly drawing: Drawing | null;
}

/** How long until a failed order is sent again, ms: at first, and at most. */
const SOON_MS = 1000;
const LATE_MS = 20_000;
/** Answers that may be others the next time, beside 5xx. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

export class Outbox {
  /** Told of every change. */
  changed: () => void = () => undefined;
  /** Who draws, as soon as something was stored. */
  author: Author | null = null;
  readonly #sender: Sender;
  readonly #orders: Order[] = [];
  /** Orders that the service will not take as they are, and why. */
  readonly #refused = new Map<string, { readonly order: Order; readonly why: string }>();
  #sending: Order | null = null;
  #trouble: string | null = null;
  #failures = 0;
  #timer = 0;
  /** Whether nothing is sent, because whoever drew is not signed in. */
  #held = false;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  /** How many drawings are not stored as they are shown. */
  get unsaved(): number {
    return new Set([...this.#orders.map((order) => order.id), ...this.#refused.keys()]).size;
  }

  /** Why drawings are not stored; null while all goes well. */
  get trouble(): string | null {
    return [...this.#refused.values()][0]?.why ?? this.#trouble;
  }

  /** Whether something is sent again by itself. */
  get waits(): boolean {
    return this.#orders.length > 0 && !this.#held;
  }

  isUnsaved(id: string): boolean {
    return this.#refused.has(id) || this.#orders.some((order) => order.id === id);
  }

  put(drawing: Drawing): void {
    this.#refused.delete(drawing.id);
    const waiting = this.#orders.findLastIndex((order) => order.id === drawing.id);
    const order = this.#orders[waiting];
    // In place, so that a new drawing keeps its turn; not while it is sent, nor before its removal.
    if (order?.drawing && order !== this.#sending) this.#orders[waiting] = { id: drawing.id, drawing };
    else this.#orders.push({ id: drawing.id, drawing });
    this.#begin();
  }

  remove(id: string): void {
    this.#refused.delete(id);
    for (let index = this.#orders.length - 1; index >= 0; index--) {
      const order = this.#orders[index];
      if (order?.id === id && order !== this.#sending) this.#orders.splice(index, 1);
    }
    this.#orders.push({ id, drawing: null });
    this.#begin();
  }

  /** Send nothing until `retry`. */
  hold(): void {
    this.#held = true;
  }

  /** Send everything that is not stored, now. */
  retry(): void {
    this.#held = false;
    for (const { order } of this.#refused.values()) this.#orders.push(order);
    this.#refused.clear();
    this.#failures = 0;
    this.#trouble = null;
    window.clearTimeout(this.#timer);
    this.#timer = 0;
    this.#begin();
  }

  /** What the service told, with what it does not have yet. */
  over(stored: readonly Drawing[]): readonly Drawing[] {
    let all = stored;
    for (const { id, drawing } of [...this.#orders, ...[...this.#refused.values()].map((one) => one.order)]) {
      const known = all.some((one) => one.id === id);
      if (drawing === null) all = all.filter((one) => one.id !== id);
      else all = known ? all.map((one) => (one.id === id ? drawing : one)) : [...all, drawing];
    }
    return all;
  }

  #begin(): void {
    if (this.#timer === 0) void this.#send();
    this.changed();
  }

  async #send(): Promise<void> {
    const order = this.#orders[0];
    if (order === undefined || this.#sending !== null || this.#held) return;
    this.#sending = order;
    try {
      if (order.drawing === null) await this.#sender.remove(order.id);
      else this.author = await this.#sender.put(order.drawing);
      this.#orders.shift();
      this.#failures = 0;
      this.#trouble = null;
    } catch (error) {
      this.#failed(order, error);
    } finally {
      this.#sending = null;
    }
    this.changed();
    if (this.#timer === 0) void this.#send();
  }

  #failed(order: Order, error: unknown): void {
    const final = error instanceof ApiProblem && error.status < 500 && !PASSING.has(error.status);
    if (final && !(error instanceof Unauthorised)) {
      this.#orders.shift();
      // What has been ordered since counts, not this.
      const newer = this.#orders.some((one) => one.id === order.id);
      if (!newer) this.#refused.set(order.id, { order, why: problemText(error) });
      return;
    }
    this.#trouble = problemText(error);
    if (error instanceof Unauthorised) {
      this.hold();
      return;
    }
    const wait = Math.min(LATE_MS, SOON_MS * 2 ** this.#failures++);
    this.#timer = window.setTimeout(() => {
      this.#timer = 0;
      void this.#send();
    }, wait);
  }
}
