/** Decodes and classifies images on a thread of its own. It asks the network for nothing but the
    WebAssembly of the runtime, while the model is loaded. */

import type { InferenceSession, Tensor } from "onnxruntime-web";
import type { BrowserModel } from "../api/models";
import { readImage, Unusable } from "./file";
import type { Answer, Ask } from "./messages";
import { planes, prepare, probePixels } from "./prepare";

/** Largest difference from the server's probabilities of the probe. */
const ALLOWED = 1e-3;

interface Runtime {
  readonly InferenceSession: { create: (model: ArrayBuffer, options: object) => Promise<InferenceSession> };
  readonly Tensor: new (kind: "float32", data: Float32Array, shape: readonly number[]) => Tensor;
  readonly env: { wasm: { numThreads?: number; wasmPaths?: unknown } };
}

interface Loaded {
  readonly model: BrowserModel;
  readonly run: (input: Float32Array) => Promise<number[]>;
}

let loaded: Loaded | null = null;

function say(answer: Answer): void {
  self.postMessage(answer);
}

async function webAssembly(): Promise<Runtime> {
  const [ort, wasm] = await Promise.all([
    import("onnxruntime-web/wasm"),
    import("onnxruntime-web/ort-wasm-simd-threaded.wasm?url"),
  ]);
  ort.env.wasm.wasmPaths = { wasm: wasm.default };
  return ort;
}

async function webGpu(): Promise<Runtime> {
  const [ort, wasm] = await Promise.all([
    import("onnxruntime-web/webgpu"),
    import("onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url"),
  ]);
  ort.env.wasm.wasmPaths = { wasm: wasm.default };
  return ort;
}

/** A session that gives the server's probabilities of the probe, or an error. */
async function admitted(ort: Runtime, provider: string, model: BrowserModel, onnx: ArrayBuffer): Promise<Loaded> {
  // Threads need memory that is shared, which browsers give to isolated pages only.
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(onnx, { executionProviders: [provider] });
  const side = model.input_px;
  const run = async (input: Float32Array): Promise<number[]> => {
    const given = new ort.Tensor("float32", input, [1, 3, side, side]);
    const answers = await session.run({ pixels: given });
    const values = answers["probabilities"]?.data as Float32Array | undefined;
    if (values === undefined) throw new Error("the model gives no probabilities");
    return Array.from(values);
  };
  const found = await run(planes(probePixels(side)));
  const difference = Math.max(...model.probe.map((value, index) => Math.abs(value - (found[index] ?? NaN))));
  if (!(difference <= ALLOWED)) {
    throw new Error(`this browser computes otherwise than the server, by ${difference.toPrecision(2)}`);
  }
  return { model, run };
}

async function load(model: BrowserModel, onnx: ArrayBuffer): Promise<void> {
  if ("gpu" in navigator && (await navigator.gpu.requestAdapter().catch(() => null)) !== null) {
    try {
      loaded = await admitted(await webGpu(), "webgpu", model, onnx);
      say({ kind: "ready", computes: "WebGPU" });
      return;
    } catch {
      // Not every network runs there, and not every driver computes rightly.
    }
  }
  loaded = await admitted(await webAssembly(), "wasm", model, onnx);
  say({ kind: "ready", computes: "WebAssembly" });
}

async function classify(id: number, file: Blob): Promise<void> {
  if (loaded === null) throw new Error("no model is loaded");
  const { model, run } = loaded;
  const answer = await run(prepare(await readImage(file), model));
  const first = answer[0] ?? NaN;
  const two = model.classes[1]?.name === model.positive ? [1 - first, first] : [first, 1 - first];
  say({ kind: "classified", id, probabilities: model.task === "binary" ? two : answer });
}

/** One thing at a time: sessions of the runtime do not run side by side. */
let last: Promise<void> = Promise.resolve();

self.addEventListener("message", (event: MessageEvent<Ask>) => {
  const ask = event.data;
  last = last.then(async () => {
    try {
      if (ask.kind === "load") await load(ask.model, ask.onnx);
      else await classify(ask.id, ask.file);
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      if (ask.kind === "load") say({ kind: "failed", cause });
      else say({ kind: "unusable", id: ask.id, cause: error instanceof Unusable ? cause : `cannot be judged: ${cause}` });
    }
  });
});
