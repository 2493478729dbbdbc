/** News of all jobs of the workspace, as server-sent events; goes on where the line was cut. */

import { connection } from "./connection";
import type { JobState, Tiles } from "./jobs";
import type { ProblemDetail } from "./slides";

export interface StateNews {
  readonly job_id: string;
  readonly state: JobState;
  readonly attempts: number;
  readonly problem: ProblemDetail | null;
  readonly result_id: string | null;
}

export interface ProgressNews {
  readonly job_id: string;
  readonly tiles: Tiles;
  readonly stage?: string | null;
  readonly tiles_per_second?: number | null;
}

export interface Listeners {
  /** A list read from now on misses nothing. */
  readonly onStart: () => void;
  readonly onState: (news: StateNews) => void;
  readonly onProgress: (news: ProgressNews) => void;
}

/** A line that is not back after so long is told, ms. */
const PATIENCE_MS = 4000;
/** Before a line that was refused is tried again, ms. */
const REFUSED_MS = 5000;

export class JobEvents {
  readonly #listeners: Listeners;
  #source: EventSource | null = null;
  #timer: number | undefined;

  constructor(listeners: Listeners) {
    this.#listeners = listeners;
  }

  /** Listen while the page can be seen: a browser has six lines to a server, and each tab wants one. */
  start(): void {
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#onVisibility();
  }

  stop(): void {
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#close();
  }

  readonly #onVisibility = (): void => {
    if (document.hidden) this.#close();
    else if (this.#source === null) this.#open();
  };

  #open(): void {
    this.#close();
    const source = new EventSource("/v1/events");
    this.#source = source;
    source.addEventListener("open", () => {
      this.#still();
      connection.tell("online");
    });
    source.addEventListener("start", () => {
      this.#listeners.onStart();
    });
    source.addEventListener("state", (event) => {
      this.#listeners.onState(parse(event) as StateNews);
    });
    source.addEventListener("progress", (event) => {
      this.#listeners.onProgress(parse(event) as ProgressNews);
    });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) {
        this.#still();
        this.#timer = window.setTimeout(() => { this.#open(); }, REFUSED_MS);
        return;
      }
      // The browser tries again by itself, and every attempt that fails is an error too.
      this.#timer ??= window.setTimeout(() => { connection.tell("offline"); }, PATIENCE_MS);
    });
  }

  /** Nothing is waited for any more. */
  #still(): void {
    window.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #close(): void {
    this.#still();
    this.#source?.close();
    this.#source = null;
  }
}

function parse(event: MessageEvent): unknown {
  return JSON.parse(String(event.data));
}
