/** What people draw on slides, as `/v1/slides/{id}/drawings` has it. */

import { get, remove, send } from "./client";

/** Most characters of a class's name and of a comment. */
export const MAX_CLASS = 200;
export const MAX_COMMENT = 2000;

export type Effect = "add" | "erase";
export type DrawnWith = "polygon" | "rectangle" | "brush" | "model";
export type Pair = readonly [number, number];

/** What is kept of a drawing. */
export interface DrawingOrder {
  readonly effect: Effect;
  /** With what it was drawn; `model`: a region that a model found. */
  readonly tool: DrawnWith;
  /** Empty of an erasure: from every class. */
  readonly class_name: string;
  readonly comment: string;
  /** An outline, then its holes: x and y in level-0 px, not closed. */
  readonly rings: readonly (readonly Pair[])[];
}

export interface StoredDrawing extends DrawingOrder {
  readonly id: string;
  readonly author: { readonly key_id: string; readonly name: string };
  /** Whether whoever is signed in drew it. */
  readonly mine: boolean;
}

/** Everybody's, by user, then in the order in which each drew. */
export async function listDrawings(slideId: string, signal: AbortSignal): Promise<StoredDrawing[]> {
  return (await get<{ drawings: StoredDrawing[] }>(`/v1/slides/${slideId}/drawings`, signal)).drawings;
}

/** The address of what drawings come to, as a file: of one user's, or of all together. */
export function drawingsFile(slideId: string, ending: "geojson" | "xml", author: string | null): string {
  return `/v1/slides/${slideId}/drawings.${ending}${author === null ? "" : `?author=${author}`}`;
}

/** Keep a drawing under an id that the page chose; the same again changes nothing. */
export async function putDrawing(slideId: string, id: string, order: DrawingOrder): Promise<StoredDrawing> {
  const answer = await send(`/v1/slides/${slideId}/drawings/${id}`, { method: "PUT", body: order });
  return (await answer.json()) as StoredDrawing;
}

export function deleteDrawing(slideId: string, id: string): Promise<void> {
  return remove(`/v1/slides/${slideId}/drawings/${id}`);
}
