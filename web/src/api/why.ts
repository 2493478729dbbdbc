/** Why a model answered as it did: pictures that a worker draws on demand. */

import { send } from "./client";

/** A cell of a result and the class in question. */
export interface Asked {
  readonly job: string;
  readonly column: number;
  readonly row: number;
  readonly of: string;
}

/** Where the server does not say when to ask again, s. */
const AGAIN_SECONDS = 2;

/**
 * The picture of what the answer rests on, asked for until it is there.
 *
 * Throws as `send` does.
 */
export async function fetchWhy({ job, column, row, of }: Asked, signal: AbortSignal): Promise<Blob> {
  const query = new URLSearchParams({ column: String(column), row: String(row), class: of });
  for (;;) {
    const answer = await send(`/v1/jobs/${job}/why?${query.toString()}`, { signal });
    if (answer.status !== 202) return answer.blob();
    const seconds = Number(answer.headers.get("Retry-After") ?? "") || AGAIN_SECONDS;
    await pause(seconds * 1000, signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = window.setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        window.clearTimeout(timer);
        reject(new DOMException("no longer wanted", "AbortError"));
      },
      { once: true },
    );
  });
}
