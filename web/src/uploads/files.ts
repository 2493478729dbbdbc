/** Files out of what was dropped or chosen: also those in folders. */

/** A file, and what reads it again after a reload, where the browser gives that. */
export interface Picked {
  readonly file: File;
  readonly handle: FileSystemFileHandle | null;
}

export interface Picking {
  readonly picked: readonly Picked[];
  /** Files in folders that are no slides by their names. */
  readonly leftOut: number;
}

/**
 * What slides are called where one file is a whole slide; of DICOM a folder of them is. PNG and JPEG
 * in folders are left out: beside slides they are thumbnails and exports.
 */
const SLIDE_NAMES = /\.(svs|tiff?|btf|ndpi|scn|bif|svslide|czi|zip)$/i;

/** For file inputs; several-file formats come as ZIP. */
export const ACCEPTED = ".svs,.tif,.tiff,.btf,.ndpi,.scn,.bif,.svslide,.czi,.dcm,.zip,.png,.jpg,.jpeg";

/** Of a file input; in a folder, only what is called like a slide counts. */
export function fromInput(input: HTMLInputElement): Picking {
  const files = [...(input.files ?? [])];
  const isFolder = input.webkitdirectory;
  const taken = isFolder ? files.filter((file) => looksLikeSlide(file.name)) : files;
  return {
    picked: taken.map((file) => ({ file, handle: null })),
    leftOut: files.length - taken.length,
  };
}

type WithHandle = DataTransferItem & {
  getAsFileSystemHandle?: () => Promise<FileSystemHandle | null>;
};

/**
 * Of a drop; has to be called while its event is being handled, as the items are gone afterwards.
 */
export async function fromDrop(transfer: DataTransfer): Promise<Picking> {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const found = items.map((item: WithHandle) => ({
    entry: item.webkitGetAsEntry(),
    file: item.getAsFile(),
    handle: item.getAsFileSystemHandle?.().catch(() => null) ?? Promise.resolve(null),
  }));
  const picked: Picked[] = [];
  let leftOut = 0;
  for (const { entry, file, handle } of found) {
    if (entry?.isDirectory) {
      for (const inside of await filesIn(entry as FileSystemDirectoryEntry)) {
        if (looksLikeSlide(inside.file.name)) picked.push({ file: inside.file, handle: null });
        else leftOut += 1;
      }
    } else if (file) {
      const given = await handle;
      picked.push({ file, handle: given?.kind === "file" ? (given as FileSystemFileHandle) : null });
    }
  }
  return { picked, leftOut };
}

function looksLikeSlide(name: string): boolean {
  return SLIDE_NAMES.test(name) && !name.startsWith(".");
}

/** A file, and its place: with the names of the folders it came in. */
export interface Placed {
  readonly file: File;
  readonly path: string;
}

/** All files below a folder that was dropped. */
export async function filesIn(folder: FileSystemDirectoryEntry): Promise<Placed[]> {
  const reader = folder.createReader();
  const files: Placed[] = [];
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => {
      reader.readEntries(resolve, reject);
    });
    if (batch.length === 0) return files;
    for (const entry of batch) {
      if (entry.isDirectory) files.push(...(await filesIn(entry as FileSystemDirectoryEntry)));
      else files.push({ file: await fileOf(entry as FileSystemFileEntry), path: entry.fullPath.replace(/^\//, "") });
    }
  }
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => {
    entry.file(resolve, reject);
  });
}
