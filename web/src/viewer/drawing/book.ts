/** All drawings on a slide: mine, which change here and are sent to the service, and colleagues'. */

import { listDrawings } from "../../api/drawings";
import { Composition, type ByClass } from "./composition";
import { fromStored, newId, type Author, type Colleague, type Drawing, type Sketch } from "./drawing";
import { History, applied, type Change, type Step } from "./history";
import type { Outbox } from "./outbox";

export class Book {
  readonly outbox: Outbox;
  readonly #slideId: string;
  readonly #changed: () => void;
  readonly #history = new History();
  readonly #composition = new Composition();
  readonly #others = new Map<string, Composition>();
  #mine: readonly Drawing[] = [];
  #colleagues: readonly Colleague[] = [];
  #me: Author | null = null;
  #loaded = false;

  constructor(slideId: string, outbox: Outbox, changed: () => void) {
    this.#slideId = slideId;
    this.outbox = outbox;
    this.#changed = changed;
    outbox.changed = changed;
    this.#mine = outbox.over([]);
  }

  /** In the order in which they were drawn. */
  get mine(): readonly Drawing[] {
    return this.#mine;
  }

  get colleagues(): readonly Colleague[] {
    return this.#colleagues;
  }

  /** Who draws here; null until the service has told of a drawing of mine. */
  get me(): Author | null {
    return this.#me ?? this.outbox.author;
  }

  get loaded(): boolean {
    return this.#loaded;
  }

  get canUndo(): boolean {
    return this.#history.canUndo;
  }

  get canRedo(): boolean {
    return this.#history.canRedo;
  }

  /** What my drawings come to. */
  get areas(): ByClass {
    return this.#composition.of(this.#mine);
  }

  areasOf(colleague: Colleague): ByClass {
    const { id } = colleague.author;
    const composition = this.#others.get(id) ?? new Composition();
    this.#others.set(id, composition);
    return composition.of(colleague.drawings);
  }

  /** Take in what the service has; mine stay as they are if they were changed here meanwhile. */
  async load(signal: AbortSignal): Promise<void> {
    const stored = await listDrawings(this.#slideId, signal);
    const mine = stored.filter((one) => one.mine);
    const [first] = mine;
    if (first !== undefined) this.#me = { id: first.author.key_id, name: first.author.name };
    if (!this.#history.canUndo && !this.#history.canRedo) this.#mine = this.outbox.over(mine.map(fromStored));
    const others = stored.filter((one) => !one.mine);
    const authors = new Map(others.map(({ author }) => [author.key_id, author.name]));
    this.#colleagues = [...authors].map(([id, name]) => ({
      author: { id, name },
      drawings: others.filter((one) => one.author.key_id === id).map(fromStored),
    }));
    this.#loaded = true;
    this.#changed();
  }

  /** Draw; what is drawn together is undone together. */
  add(sketches: readonly Sketch[]): readonly Drawing[] {
    const drawings = sketches.map((sketch) => ({ id: newId(), ...sketch }));
    this.#do(drawings.map((after, index) => ({ before: null, after, at: this.#mine.length + index })));
    return drawings;
  }

  /** Change one of mine. */
  change(id: string, change: Partial<Pick<Sketch, "className" | "comment">>): void {
    const at = this.#mine.findIndex((one) => one.id === id);
    const before = this.#mine[at];
    if (before === undefined) return;
    const after = { ...before, ...change };
    if (after.className === before.className && after.comment === before.comment) return;
    this.#do([{ before, after, at }]);
  }

  /** Delete one of mine. */
  remove(id: string): void {
    const at = this.#mine.findIndex((one) => one.id === id);
    const before = this.#mine[at];
    if (before !== undefined) this.#do([{ before, after: null, at }]);
  }

  undo(): void {
    this.#apply(this.#history.undo());
  }

  redo(): void {
    this.#apply(this.#history.redo());
  }

  #do(step: Step): void {
    this.#history.add(step);
    this.#apply(step);
  }

  #apply(step: Step): void {
    if (step.length === 0) return;
    const before = this.#mine;
    this.#mine = applied(before, step);
    for (const change of step) this.#send(change, before);
    this.#changed();
  }

  #send(change: Change, before: readonly Drawing[]): void {
    const { after } = change;
    if (after === null) {
      if (change.before !== null) this.outbox.remove(change.before.id);
      return;
    }
    this.outbox.put(after);
    if (before.some((one) => one.id === after.id)) return;
    // The service puts what is new behind all others. Where the order counts, those follow again.
    const later = this.#mine.slice(this.#mine.indexOf(after) + 1);
    if (later.every((one) => one.effect === after.effect)) return;
    for (const one of later) {
      this.outbox.remove(one.id);
      this.outbox.put(one);
    }
  }
}
