/** Whether the server answers, as all requests together found out. */

export type Connection = "online" | "offline";

type Listener = (state: Connection) => void;

class ConnectionState {
  #state: Connection = "online";
  readonly #listeners = new Set<Listener>();

  get state(): Connection {
    return this.#state;
  }

  /** Be told of changes; returns how to stop that. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A request was answered, or was not. */
  tell(state: Connection): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener(state);
  }
}

export const connection = new ConnectionState();
