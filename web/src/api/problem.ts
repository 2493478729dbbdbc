/** What can go wrong between page and server. */

/** The server's answer was an error: a problem detail (RFC 9457). */
export class ApiProblem extends Error {
  readonly status: number;
  readonly title: string;
  /** The last part of the problem's type, e.g. `conflict`. */
  readonly kind: string;

  constructor(status: number, title: string, detail: string, kind: string) {
    super(detail);
    this.name = "ApiProblem";
    this.status = status;
    this.title = title;
    this.kind = kind;
  }
}

/** Nobody is signed in, or the key is no longer good. */
export class Unauthorised extends ApiProblem {}

/** No answer came at all. */
export class Offline extends Error {
  constructor() {
    super("The server does not answer.");
    this.name = "Offline";
  }
}

/** From an answer that is no success. */
export async function problemOf(response: Response): Promise<ApiProblem> {
  const told: unknown = await response.json().catch(() => null);
  const part = (name: string): string => {
    if (typeof told !== "object" || told === null) return "";
    const value = (told as Record<string, unknown>)[name];
    return typeof value === "string" ? value : "";
  };
  const title = part("title") || `The server answered ${response.status}`;
  const kind = part("type").split("/").pop() ?? "";
  const make = response.status === 401 ? Unauthorised : ApiProblem;
  return new make(response.status, title, part("detail") || title, kind);
}

/** One sentence for a person. */
export function problemText(error: unknown): string {
  if (error instanceof ApiProblem) {
    const detail = error.message.charAt(0).toUpperCase() + error.message.slice(1);
    return /[.!?]$/.test(detail) ? detail : `${detail}.`;
  }
  return error instanceof Error ? error.message : String(error);
}
