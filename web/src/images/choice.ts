/** Which images are shown, and in which order; and the same in the address bar. */

import type { StoredImage } from "../api/images";

export const FILTERS = ["all", "review", "labelled", "failed"] as const;
export type Filter = (typeof FILTERS)[number];

export const SORTS = ["doubt", "name", "newest"] as const;
export type Sort = (typeof SORTS)[number];

export interface Choice {
  /** Id of the job; null: the newest. */
  readonly job: string | null;
  /** Id of the image that is open. */
  readonly image: string | null;
  readonly search: string;
  readonly filter: Filter;
  readonly sort: Sort;
  /** Only images called so; empty: of all classes. */
  readonly called: string;
}

export const FIRST_CHOICE: Choice = {
  job: null,
  image: null,
  search: "",
  filter: "all",
  sort: "doubt",
  called: "",
};

const ID = /^[0-9a-f]{32}$/;

export function readChoice(query: string): Choice {
  const asked = new URLSearchParams(query);
  const id = (name: string): string | null => {
    const text = asked.get(name) ?? "";
    return ID.test(text) ? text : null;
  };
  return {
    job: id("job"),
    image: id("image"),
    search: asked.get("q") ?? "",
    filter: FILTERS.find((name) => name === asked.get("show")) ?? FIRST_CHOICE.filter,
    sort: SORTS.find((name) => name === asked.get("sort")) ?? FIRST_CHOICE.sort,
    called: asked.get("class") ?? "",
  };
}

/** The query string of a choice, with its `?`; empty for the first choice. */
export function writeChoice(choice: Choice): string {
  const query = new URLSearchParams();
  if (choice.job !== null) query.set("job", choice.job);
  if (choice.search !== "") query.set("q", choice.search);
  if (choice.filter !== FIRST_CHOICE.filter) query.set("show", choice.filter);
  if (choice.sort !== FIRST_CHOICE.sort) query.set("sort", choice.sort);
  if (choice.called !== "") query.set("class", choice.called);
  if (choice.image !== null) query.set("image", choice.image);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/** Whether an image passes a filter. */
export function passes(image: StoredImage, filter: Filter): boolean {
  switch (filter) {
    case "all":
      return true;
    case "review":
      return image.answer?.review === true;
    case "labelled":
      return image.label !== null || image.labels.length > 0;
    case "failed":
      return image.state === "failed";
  }
}

/** Whether search and filter leave an image in; what its class is does not count. */
export function isIn(image: StoredImage, { search, filter }: Pick<Choice, "search" | "filter">): boolean {
  return passes(image, filter) && image.name.toLocaleLowerCase().includes(search.trim().toLocaleLowerCase());
}

/** How unsure an answer is, 0 to 1: 1 - the largest probability. */
function doubtOf(image: StoredImage): number {
  return image.answer === null ? -1 : 1 - Math.max(0, ...Object.values(image.answer.probabilities));
}

/**
 * The images that are shown, in their order.
 *
 * By doubt, as the server sorts: those to look at again first, the most doubtful of them first, those
 * without an answer last. `images` are in the order of their names, which settles what is equal.
 */
export function choose(images: readonly StoredImage[], choice: Choice): readonly StoredImage[] {
  const { called, sort } = choice;
  const found = images.filter(
    (image) => isIn(image, choice) && (called === "" || (image.answer?.called.includes(called) ?? false)),
  );
  if (sort === "name") return found;
  const rank = new Map(
    found.map((image) => [
      image,
      sort === "newest" ? Date.parse(image.created_at) : doubtOf(image) + (image.answer?.review === true ? 1 : 0),
    ]),
  );
  return found.sort((a, b) => (rank.get(b) ?? 0) - (rank.get(a) ?? 0));
}

/** How many images are called each class, of those that search and filter leave in. */
export function countClasses(images: readonly StoredImage[], choice: Choice): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const image of images) {
    if (!isIn(image, choice)) continue;
    for (const name of image.answer?.called ?? []) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}
