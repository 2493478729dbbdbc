/** What people say of regions: the notes of a result, kept by the service. */

import { get, remove, send } from "../api/client";

export type Verdict = "agree" | "disagree";

/** One user's note on one region. */
export interface Note {
  readonly region: number;
  readonly verdict: Verdict | null;
  readonly comment: string;
  readonly author: { readonly key_id: string; readonly name: string };
  /** Whether whoever is signed in wrote it. */
  readonly mine: boolean;
}

export class Notes {
  readonly #job: string;
  readonly #signal: AbortSignal;
  readonly #changed: () => void;
  #all: readonly Note[] = [];

  constructor(job: string, signal: AbortSignal, changed: () => void) {
    this.#job = job;
    this.#signal = signal;
    this.#changed = changed;
  }

  async load(): Promise<void> {
    const told = await get<{ notes: Note[] }>(`/v1/jobs/${this.#job}/notes`, this.#signal);
    this.#all = told.notes;
    this.#changed();
  }

  /** My own note on a region. */
  mine(region: number): Note | null {
    return this.#all.find((note) => note.region === region && note.mine) ?? null;
  }

  /** Colleagues' notes on a region. */
  others(region: number): readonly Note[] {
    return this.#all.filter((note) => note.region === region && !note.mine);
  }

  /** How many regions I have said something of. */
  get count(): number {
    return this.#all.filter((note) => note.mine).length;
  }

  /** Keep my note on a region; saying nothing removes it. */
  async write(region: number, verdict: Verdict | null, comment: string): Promise<void> {
    const path = `/v1/jobs/${this.#job}/notes/${region}`;
    const rest = this.#all.filter((note) => !(note.region === region && note.mine));
    if (verdict === null && comment.trim() === "") {
      await remove(path);
      this.#all = rest;
    } else {
      const answer = await send(path, { method: "PUT", body: { verdict, comment } });
      const kept = (await answer.json()) as Note | null;
      this.#all = kept === null ? rest : [...rest, kept];
    }
    this.#changed();
  }
}
