/** One upload as this page knows it. */

import { Pace } from "./pace";
import type { UploadRecord } from "./records";
import type { Transfer } from "./transfer";

export type UploadState =
  | "queued"
  | "sending"
  /** The line is down; it is tried again. */
  | "waiting"
  | "paused"
  /** After a reload: the browser may read the file again if the user agrees. */
  | "ask"
  /** After a reload: the user has to choose the file again. */
  | "choose"
  /** Another tab of this browser sends it. */
  | "elsewhere"
  | "done"
  | "refused";

/** What is shown of an upload. */
export interface UploadView {
  readonly id: string;
  readonly name: string;
  readonly size: number;
  readonly state: UploadState;
  readonly sent: number;
  /** Bytes per second. */
  readonly speed: number | null;
  /** Seconds left. */
  readonly left: number | null;
  /** Why it was refused, or what went wrong after it. */
  readonly problem: string | null;
  readonly slideId: string | null;
}

export class Entry {
  record: UploadRecord;
  /** Null after a reload. */
  file: File | null;
  state: UploadState = "queued";
  sent = 0;
  problem: string | null = null;
  transfer: Transfer | null = null;
  /** Lets other tabs have it. */
  release: (() => void) | null = null;
  readonly pace = new Pace();

  constructor(record: UploadRecord, file: File | null) {
    this.record = record;
    this.file = file;
    this.sent = record.offset;
  }

  get view(): UploadView {
    const { id, name, size, slideId } = this.record;
    const moving = this.state === "sending";
    return {
      id,
      name,
      size,
      slideId,
      state: this.state,
      sent: this.sent,
      speed: moving ? this.pace.speed : null,
      left: moving ? this.pace.secondsFor(size - this.sent) : null,
      problem: this.problem,
    };
  }

  /** Whether the same file chosen again means this one. */
  isOpen(): boolean {
    return this.state !== "done" && this.state !== "refused";
  }
}
