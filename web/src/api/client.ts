/** Requests to the API of the same origin; the cookie says who asks. */

import { connection } from "./connection";
import { Offline, Unauthorised, problemOf } from "./problem";

export interface Options {
  readonly method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is. */
  readonly content?: Blob;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
}

/**
 * Send a request and return its answer if it is a success.
 *
 * Throws `ApiProblem` where the server refuses, `Unauthorised` where nobody is signed in (the frame
 * then asks for a key), `Offline` where no answer comes, and an `AbortError` where `signal` said so.
 */
export async function send(path: string, options: Options = {}): Promise<Response> {
  const { method = "GET", body, content, headers = {}, signal } = options;
  const init: RequestInit = { method, headers: { ...headers } };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "Content-Type": "application/json", ...headers };
  }
  if (content !== undefined) init.body = content;
  if (signal) init.signal = signal;
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (signal?.aborted) throw error;
    connection.tell("offline");
    throw new Offline();
  }
  connection.tell("online");
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (problem instanceof Unauthorised) window.dispatchEvent(new Event("wsi:signed-out"));
  throw problem;
}

/** The JSON at an address. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send(path, signal ? { signal } : {});
  return (await response.json()) as T;
}

/** Post JSON, and the JSON that comes back. */
export async function post<T>(path: string, body?: unknown): Promise<T> {
  const response = await send(path, body === undefined ? { method: "POST" } : { method: "POST", body });
  return (await response.json()) as T;
}

/** Delete what is at an address. */
export async function remove(path: string): Promise<void> {
  await send(path, { method: "DELETE" });
}
