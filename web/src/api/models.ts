/** Model packages as `/v1/models` has them. */

import { get } from "./client";

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
  readonly task: "binary" | "multiclass" | "multilabel";
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
}

export async function listModels(signal?: AbortSignal): Promise<Model[]> {
  return (await get<{ models: Model[] }>("/v1/models", signal)).models;
}
