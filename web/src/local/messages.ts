/** What the page and the worker that computes say to each other. */

import type { BrowserModel } from "../api/models";

export type Ask =
  | { readonly kind: "load"; readonly model: BrowserModel; readonly onnx: ArrayBuffer }
  | { readonly kind: "classify"; readonly id: number; readonly file: Blob };

export type Answer =
  | { readonly kind: "ready"; readonly computes: string }
  | { readonly kind: "failed"; readonly cause: string }
  | {
      readonly kind: "classified";
      readonly id: number;
      /** Of all classes, in their order. */
      readonly probabilities: readonly number[];
    }
  | { readonly kind: "unusable"; readonly id: number; readonly cause: string };
