/** One file on its way: tus, with our own retries, so that the page can say what it waits for. */

import * as tus from "tus-js-client";
import { connection } from "../api/connection";

const ENDPOINT = "/v1/uploads";
/** Sent in one request; what was sent of it counts even if the line is cut, bytes. */
const CHUNK = 32 * 2 ** 20;
/** Before it is tried again, ms; the last one over and over. */
const DELAYS_MS = [500, 1000, 2000, 4000, 8000, 15_000];

export interface TransferEvents {
  /** The server gave it an address. */
  readonly onUrl: (url: string) => void;
  /** Bytes handed to the network. */
  readonly onSent: (bytes: number) => void;
  /** Bytes the server has for certain. */
  readonly onSafe: (bytes: number) => void;
  /** The line is down; it is tried again after so long, ms. */
  readonly onWait: (delay: number) => void;
  readonly onResume: () => void;
  readonly onDone: (slideId: string | null) => void;
  /** The server refused; trying again would change nothing. */
  readonly onRefused: (text: string) => void;
}

export class Transfer {
  readonly #file: File;
  readonly #events: TransferEvents;
  #url: string | null;
  #upload: tus.Upload | null = null;
  #slideId: string | null = null;
  #failures = 0;
  #timer: number | undefined;
  #unlisten: (() => void) | null = null;
  #stopped = false;

  constructor(file: File, url: string | null, events: TransferEvents) {
    this.#file = file;
    this.#url = url;
    this.#events = events;
  }

  start(): void {
    if (this.#stopped) return;
    this.#calm();
    this.#upload = new tus.Upload(this.#file, {
      endpoint: ENDPOINT,
      uploadUrl: this.#url,
      chunkSize: CHUNK,
      retryDelays: null,
      storeFingerprintForResuming: false,
      metadata: { filename: this.#file.name },
      onUploadUrlAvailable: () => {
        const url = this.#upload?.url ?? null;
        if (url === null || url === this.#url) return;
        this.#url = url;
        this.#events.onUrl(url);
      },
      onProgress: (sent) => {
        if (!this.#stopped) this.#events.onSent(sent);
      },
      onChunkComplete: (_, safe) => {
        this.#failures = 0;
        this.#events.onSafe(safe);
      },
      onAfterResponse: (_, response) => {
        connection.tell("online");
        this.#slideId = response.getHeader("Wsi-Slide-Id") ?? this.#slideId;
      },
      onSuccess: () => {
        this.#stopped = true;
        this.#events.onDone(this.#slideId);
      },
      onError: (error) => {
        this.#onError(error);
      },
    });
    this.#events.onResume();
    this.#upload.start();
  }

  /** Stop sending; what the server has, it keeps. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#calm();
    await this.#upload?.abort(false);
  }

  #onError(error: Error): void {
    if (this.#stopped) return;
    const response = error instanceof tus.DetailedError ? error.originalResponse : null;
    const status = response?.getStatus() ?? 0;
    const passing = status === 0 || status >= 500 || [408, 409, 423, 429, 460].includes(status);
    if (!passing || status === 507) {
      this.#stopped = true;
      if (status === 401) window.dispatchEvent(new Event("wsi:signed-out"));
      this.#events.onRefused(refusal(response?.getBody() ?? "", status));
      return;
    }
    const delay = DELAYS_MS[Math.min(this.#failures, DELAYS_MS.length - 1)] ?? 0;
    this.#failures += 1;
    this.#timer = window.setTimeout(() => {
      this.start();
    }, delay);
    // Somebody else may find out first that the server is back.
    this.#unlisten = connection.listen((state) => {
      if (state === "online") this.start();
    });
    this.#events.onWait(delay);
  }

  #calm(): void {
    window.clearTimeout(this.#timer);
    this.#unlisten?.();
    this.#unlisten = null;
  }
}

/** Give up what the server has of an upload; nothing happens if it is gone already. */
export async function discard(url: string): Promise<void> {
  try {
    await tus.Upload.terminate(url, { retryDelays: null });
  } catch {
    // It runs out by itself.
  }
}

function refusal(body: string, status: number): string {
  try {
    const told = JSON.parse(body) as { detail?: unknown };
    if (typeof told.detail === "string") return told.detail;
  } catch {
    // No problem detail: a proxy answered.
  }
  return `the server answered ${status}`;
}
