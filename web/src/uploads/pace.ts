/** How fast bytes go, from what was told in the last seconds. */

/** What is older says nothing of now, ms. */
const WINDOW_MS = 8000;

interface Sample {
  readonly at: number;
  readonly bytes: number;
}

export class Pace {
  #samples: Sample[] = [];

  /** So many bytes had gone at a time, ms. */
  add(bytes: number, at: number): void {
    const last = this.#samples.at(-1);
    // After a lost line it goes on from what the server has, which may be less.
    if (last && bytes < last.bytes) this.#samples = [];
    this.#samples.push({ at, bytes });
    while (this.#samples.length > 2 && at - (this.#samples[0]?.at ?? at) > WINDOW_MS) {
      this.#samples.shift();
    }
  }

  /** Forget: nothing goes at the moment. */
  reset(): void {
    this.#samples = [];
  }

  /** Bytes per second; null while that cannot be said. */
  get speed(): number | null {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.at - first.at < 500) return null;
    return ((last.bytes - first.bytes) * 1000) / (last.at - first.at);
  }

  /** Seconds until so many more bytes are through; null while that cannot be said. */
  secondsFor(bytes: number): number | null {
    const speed = this.speed;
    return speed === null || speed <= 0 ? null : bytes / speed;
  }
}
