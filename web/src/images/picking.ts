/** Images out of what was dropped or chosen, with their folders as parts of their names. */

import { plural } from "../ui/format";
import { filesIn, type Placed } from "../uploads/files";

/** As the service reads them (`wsi_pipeline/images/picture.py`). */
const SUFFIXES = [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"];

/** For file inputs. */
export const ACCEPTED = SUFFIXES.join(",");

export interface Picking {
  readonly images: readonly Placed[];
  /** How many files do not end like images. */
  readonly leftOut: number;
  /** Of the job: what was dropped. */
  readonly name: string;
}

/** What of a selection are images, named in composed form as the server does; hidden files are passed over in silence. */
export function pick(files: readonly Placed[]): Picking {
  const seen = files.filter(({ path }) => !path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX"));
  const images = seen.map(({ file, path }) => ({ file, path: path.normalize("NFC") })).filter(({ path }) => SUFFIXES.some((suffix) => path.toLowerCase().endsWith(suffix)));
  return { images, leftOut: seen.length - images.length, name: nameOf(images) };
}

/** The folder, or the folders; without any, the image or how many. */
function nameOf(images: readonly Placed[]): string {
  const [first] = images;
  const tops = [...new Set(images.filter(({ path }) => path.includes("/")).map(({ path }) => path.slice(0, path.indexOf("/"))))];
  if (first === undefined) return "";
  if (tops.length === 0) return images.length === 1 ? first.path : plural(images.length, "image");
  if (tops.length <= 3) return tops.join(", ");
  return `${tops.slice(0, 2).join(", ")} and ${tops.length - 2} more folders`;
}

/** Of a file input. */
export function fromInput(input: HTMLInputElement): Picking {
  const files = [...(input.files ?? [])];
  return pick(files.map((file) => ({ file, path: file.webkitRelativePath === "" ? file.name : file.webkitRelativePath })));
}

/** Of a drop; has to be called while its event is being handled, as the items are gone afterwards. */
export async function fromDrop(transfer: DataTransfer): Promise<Picking> {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const found = items.map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }));
  const files: Placed[] = [];
  for (const { entry, file } of found) {
    if (entry?.isDirectory) files.push(...(await filesIn(entry as FileSystemDirectoryEntry)));
    else if (file !== null) files.push({ file, path: file.name });
  }
  return pick(files);
}
