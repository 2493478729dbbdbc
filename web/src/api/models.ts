/** Model packages as `/v1/models` has them. */

import { get, send } from "./client";
import type { Task } from "./jobs";

export interface Model {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** µm per px it was trained at; or */
  readonly mpp: number | null;
  /** the pyramid level it was trained on. */
  readonly level: number | null;
  /** Side of a patch, px. */
  readonly patch_px: number;
  readonly classes: readonly string[];
  readonly positive: string;
  readonly task: Task;
  /** A probability per class, or a map per class: single images need classes. */
  readonly output: "classes" | "features" | "map";
  /** `#rrggbb` of each class that it gives a probability of. */
  readonly class_colours: Readonly<Record<string, string>>;
  readonly threshold: number;
  readonly threshold_chosen: string;
  /** Trained on drawn tissue: says nothing of real. */
  readonly synthetic: boolean;
  /** Shown wherever the model or its results are; empty: nothing. */
  readonly notice: string;
  readonly intended_use: string;
  readonly licence: string;
  /** As its author says it. */
  readonly training_data: string;
  /** The network. */
  readonly architecture: string;
  readonly calibration: string;
  /** Measurements stated by its author. */
  readonly metrics: Readonly<Record<string, number>>;
  /** A text by its maker; empty if none came with it. */
  readonly card: string;
  /** Whether a browser can run it by itself. */
  readonly in_browser: boolean;
}

/** What a browser needs to run a model by itself, as `/v1/models/{name}/browser` has it. */
export interface BrowserModel {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  readonly onnx_bytes: number;
  /** In the order of the probabilities; both of a binary model, which gives that of one. */
  readonly classes: readonly { readonly name: string; readonly colour: string }[];
  readonly positive: string;
  readonly task: Task;
  readonly threshold: number;
  /** Side of the square that an image becomes, px. */
  readonly patch_px: number;
  /** Side of what the network is given, px. */
  readonly input_px: number;
  readonly preprocessing: {
    readonly resize: { readonly px: number; readonly interpolation: string } | null;
    readonly pad: number | null;
    readonly fill: number;
    readonly crop: number | null;
  };
  readonly images: { readonly how: "pad" | "crop" | "stretch"; readonly fill: readonly number[] };
  readonly coverage: number;
  /** A class is in the set if 1 - its probability is at most this; null: there are no sets. */
  readonly set_limit: number | null;
  readonly probe: readonly number[];
  readonly notice: string;
  readonly intended_use: string;
  readonly licence: string;
}

export async function listModels(signal?: AbortSignal): Promise<Model[]> {
  return (await get<{ models: Model[] }>("/v1/models", signal)).models;
}

export async function readBrowserModel(name: string, signal?: AbortSignal): Promise<BrowserModel> {
  return get<BrowserModel>(`/v1/models/${encodeURIComponent(name)}/browser`, signal);
}

/** The model's ONNX file. */
export async function fetchOnnx(name: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  const path = `/v1/models/${encodeURIComponent(name)}/onnx`;
  return (await send(path, signal ? { signal } : {})).arrayBuffer();
}
