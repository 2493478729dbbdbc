/** A value that tells when it changes. */

export type Listener<T> = (now: T, before: T) => void;

export class Store<T extends object> {
  #value: T;
  readonly #listeners = new Set<Listener<T>>();

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  /** Change parts of it; listeners hear of it only if something is different. */
  set(change: Partial<T>): void {
    const before = this.#value;
    const keys = Object.keys(change) as (keyof T)[];
    if (keys.every((key) => Object.is(before[key], change[key]))) return;
    this.#value = { ...before, ...change };
    for (const listener of [...this.#listeners]) listener(this.#value, before);
  }

  /** Be told of changes; returns how to stop that. */
  listen(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
