/** Tabs of one browser agree who sends an upload, where the browser offers locks. */

function lockName(id: string): string {
  return `wsi-upload-${id}`;
}

/** The browser's locks; none on plain http to another host. */
function locks(): LockManager | null {
  return (navigator as { readonly locks?: LockManager }).locks ?? null;
}

/** Keep an upload for this tab; returns how to let go of it. */
export function hold(id: string): () => void {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  // Held until it is released, or the tab is gone.
  void locks()?.request(lockName(id), { ifAvailable: true }, () => held);
  return release;
}

/** Uploads other tabs send. */
export async function heldElsewhere(ids: readonly string[]): Promise<ReadonlySet<string>> {
  const found = await locks()?.query();
  const names = new Set(found?.held?.map((lock) => lock.name));
  return new Set(ids.filter((id) => names.has(lockName(id))));
}

/** Resolves when no other tab sends it any more. */
export async function untilReleased(id: string): Promise<void> {
  await locks()?.request(lockName(id), { mode: "shared" }, () => undefined);
}

/** Whether a file may be read by its handle; asking takes a click. */
export async function readable(handle: FileSystemFileHandle, ask = false): Promise<boolean> {
  const able = handle as FileSystemFileHandle & {
    queryPermission?: (options: { mode: "read" }) => Promise<PermissionState>;
    requestPermission?: (options: { mode: "read" }) => Promise<PermissionState>;
  };
  const state = await (ask ? able.requestPermission : able.queryPermission)?.call(handle, {
    mode: "read",
  });
  return state === "granted";
}
