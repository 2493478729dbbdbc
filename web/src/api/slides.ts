/** Slides as `/v1/slides` has them. */

import { get, remove } from "./client";

export type SlideState = "checking" | "ready" | "rejected";

export interface ProblemDetail {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
}

/** One pyramid level: its size in its own px, and level-0 px per px of it. */
export interface Level {
  readonly width: number;
  readonly height: number;
  readonly downsample: number;
}

export interface SlideInfo {
  readonly vendor: string;
  /** Level-0 px. */
  readonly dimensions: { readonly width: number; readonly height: number };
  /** Finest first. */
  readonly levels: readonly Level[];
  /** µm per level-0 px. */
  readonly mpp: { readonly x: number; readonly y: number } | null;
  /** Magnification of the objective. */
  readonly objective: number | null;
  readonly warnings: readonly string[];
}

export interface Slide {
  readonly id: string;
  readonly name: string;
  readonly state: SlideState;
  readonly size_bytes: number | null;
  readonly sha256: string | null;
  readonly info: SlideInfo | null;
  readonly problem: ProblemDetail | null;
  readonly created_at: string;
}

const PAGE = 200;

/** All slides of the workspace, newest first. */
export async function listSlides(signal?: AbortSignal): Promise<Slide[]> {
  const all: Slide[] = [];
  for (;;) {
    const page = await get<{ slides: Slide[]; total: number }>(
      `/v1/slides?limit=${PAGE}&offset=${all.length}`,
      signal,
    );
    all.push(...page.slides);
    if (page.slides.length === 0 || all.length >= page.total) return all;
  }
}

export function getSlide(id: string, signal?: AbortSignal): Promise<Slide> {
  return get<Slide>(`/v1/slides/${id}`, signal);
}

export function deleteSlide(id: string): Promise<void> {
  return remove(`/v1/slides/${id}`);
}
