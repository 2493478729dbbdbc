/** A drawing as the page has it. */

import type { DrawingOrder, DrawnWith, Effect, StoredDrawing } from "../../api/drawings";
import type { Rings } from "./area";

export interface Author {
  /** Empty until the service has told whose the page's own drawings are. */
  readonly id: string;
  readonly name: string;
}

/** What is drawn, without who and when. */
export interface Sketch {
  readonly effect: Effect;
  readonly tool: DrawnWith;
  /** Empty of an erasure: from every class. */
  readonly className: string;
  readonly comment: string;
  readonly rings: Rings;
}

export interface Drawing extends Sketch {
  /** 32 hex digits, chosen where it is drawn: to send it again makes no second one. */
  readonly id: string;
}

/** Another user's drawings, in their order. */
export interface Colleague {
  readonly author: Author;
  readonly drawings: readonly Drawing[];
}

export function newId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function fromStored(stored: StoredDrawing): Drawing {
  return {
    id: stored.id,
    effect: stored.effect,
    tool: stored.tool,
    className: stored.class_name,
    comment: stored.comment,
    rings: stored.rings.map((ring) => ring.map(([x, y]) => ({ x, y }))),
  };
}

export function toOrder(drawing: Sketch): DrawingOrder {
  return {
    effect: drawing.effect,
    tool: drawing.tool,
    class_name: drawing.className,
    comment: drawing.comment,
    rings: drawing.rings.map((ring) => ring.map(({ x, y }) => [x, y] as const)),
  };
}
