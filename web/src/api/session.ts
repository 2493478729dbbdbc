/** Who is signed in: a session, whose cookie no script can read. */

import { get, send } from "./client";

export type Scope = "view" | "submit" | "admin";

export interface Session {
  readonly signed_in: boolean;
  readonly key_name: string | null;
  readonly workspace: string | null;
  readonly scope: Scope | null;
}

let current: Session | null = null;

/** Ask who is signed in; never an error for those who are not. */
export async function readSession(): Promise<Session> {
  current = await get<Session>("/v1/session");
  return current;
}

/** Whether slides may be added, analysed and deleted; the server decides, this only spares clicks. */
export function maySubmit(): boolean {
  return current?.scope !== "view";
}

/** Who is signed in, as a text that differs between users. */
export function signedIn(): string {
  return `${current?.key_name ?? ""}@${current?.workspace ?? ""}`;
}

/** Begin a session with a key. */
export async function signIn(key: string): Promise<void> {
  await send("/v1/session", { method: "POST", body: { key } });
}

/** End the session; the key stays good. Views stop asking before that, for they would be refused. */
export async function signOut(): Promise<void> {
  window.dispatchEvent(new Event("wsi:signing-out"));
  await send("/v1/session", { method: "DELETE" });
}
