/** What is remembered of uploads in this browser, so that they survive a reload. */

export interface UploadRecord {
  /** Also the key under which its analysis is asked for: twice makes one. */
  readonly id: string;
  /** Tells a file that is chosen again: name, size, time of the last change. */
  readonly fingerprint: string;
  readonly name: string;
  readonly size: number;
  readonly addedAt: number;
  /** Where its bytes go; null until the server gave the address. */
  readonly url: string | null;
  /** Bytes the server has for certain, as far as this page was told. */
  readonly offset: number;
  /** Stopped by hand. */
  readonly paused: boolean;
  /** The slide it became. */
  readonly slideId: string | null;
  /** Model to analyse it with once it is there; null for none. */
  readonly model: string | null;
  /** Reads the file again after a reload, where the browser gives one. */
  readonly handle: FileSystemFileHandle | null;
}

const DATABASE = "wsi-uploads";
const TABLE = "uploads";

/** The same file chosen again has the same. */
export function fingerprintOf(file: File): string {
  return [file.name, file.size, file.lastModified].join("|");
}

/** Records in IndexedDB; in memory only where the browser keeps nothing. */
export class Records {
  #database: Promise<IDBDatabase | null> | null = null;

  async all(): Promise<UploadRecord[]> {
    const found = await this.#run<UploadRecord[]>("readonly", (table) => table.getAll());
    return (found ?? []).sort((a, b) => a.addedAt - b.addedAt);
  }

  async put(record: UploadRecord): Promise<void> {
    await this.#run("readwrite", (table) => table.put(record));
  }

  async remove(id: string): Promise<void> {
    await this.#run("readwrite", (table) => table.delete(id));
  }

  async #run<T>(
    mode: IDBTransactionMode,
    ask: (table: IDBObjectStore) => IDBRequest,
  ): Promise<T | null> {
    this.#database ??= open();
    const database = await this.#database;
    if (database === null) return null;
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(TABLE, mode);
      const request = ask(transaction.objectStore(TABLE));
      transaction.oncomplete = () => {
        resolve(request.result as T);
      };
      transaction.onabort = () => {
        reject(transaction.error ?? new Error("the browser could not keep an upload's state"));
      };
    });
  }
}

function open(): Promise<IDBDatabase | null> {
  return new Promise((resolve) => {
    let request: IDBOpenDBRequest;
    try {
      request = indexedDB.open(DATABASE, 1);
    } catch {
      resolve(null);
      return;
    }
    request.onupgradeneeded = () => {
      request.result.createObjectStore(TABLE, { keyPath: "id" });
    };
    request.onsuccess = () => {
      resolve(request.result);
    };
    // A private window, or no room: uploads work, but are forgotten with the page.
    request.onerror = () => {
      resolve(null);
    };
  });
}
