/** The worker behind the page: loads a model, then answers for one image after another. */

import { fetchOnnx, type BrowserModel } from "../api/models";
import type { Answer, Ask } from "./messages";
import { Unusable } from "./file";

interface Waiting {
  readonly resolve: (probabilities: readonly number[]) => void;
  readonly reject: (error: Unusable) => void;
}

export class Engine {
  readonly #worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #ready: ((answer: Answer) => void) | null = null;

  constructor() {
    this.#worker.addEventListener("message", (event: MessageEvent<Answer>) => {
      this.#hear(event.data);
    });
    this.#worker.addEventListener("error", (event) => {
      this.#ready?.({ kind: "failed", cause: event.message || "the worker could not start" });
    });
  }

  /** Fetch a model and get it ready; returns what computes it. */
  async load(model: BrowserModel, signal: AbortSignal): Promise<string> {
    const onnx = await fetchOnnx(model.name, signal);
    const answer = await new Promise<Answer>((resolve) => {
      this.#ready = resolve;
      this.#ask({ kind: "load", model, onnx }, [onnx]);
    });
    if (answer.kind === "ready") return answer.computes;
    throw new Error(answer.kind === "failed" ? answer.cause : "the model could not be loaded");
  }

  /** Probabilities of all classes; an `Unusable` where the file is no image that can be judged. */
  async classify(file: Blob): Promise<readonly number[]> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#ask({ kind: "classify", id, file });
    });
  }

  /** Give the memory back; nothing that waits is answered any more. */
  close(): void {
    this.#worker.terminate();
  }

  #ask(ask: Ask, moved: Transferable[] = []): void {
    this.#worker.postMessage(ask, moved);
  }

  #hear(answer: Answer): void {
    if (answer.kind === "ready" || answer.kind === "failed") {
      this.#ready?.(answer);
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (answer.kind === "classified") waiting?.resolve(answer.probabilities);
    else waiting?.reject(new Unusable(answer.cause));
  }
}
