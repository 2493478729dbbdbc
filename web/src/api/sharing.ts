/** Addresses of masks for other viewers, which can send no key. */

import { post } from "./client";
import { maySubmit } from "./session";

export interface Shared {
  readonly url: string;
  /** What to tell who copies it. */
  readonly told: string;
}

/** The address of a result's mask; who may not share it gets the one that asks for a key. */
export async function shareMask(job: string): Promise<Shared> {
  if (!maySubmit()) {
    const url = `${location.origin}/v1/jobs/${job}/mask.zarr`;
    return { url, told: "The address of the mask was copied; opening it needs a key." };
  }
  const { mask, expires_at: ends } = await post<{ mask: string; expires_at: string }>(
    `/v1/jobs/${job}/link`,
    {},
  );
  const day = new Date(ends).toLocaleDateString(undefined, { dateStyle: "medium" });
  return {
    url: location.origin + mask,
    told: `The address of the mask was copied. Anyone who has it can read the mask until ${day}.`,
  };
}
