/** Search, filter and sorting in the address bar, so that going back finds the list as it was. */

import { FILTERS, FIRST_CHOICE, SORTS, type Choice } from "./lines";

export function readChoice(query: string): Choice {
  const asked = new URLSearchParams(query);
  const filter = FILTERS.find((name) => name === asked.get("show"));
  const sort = SORTS.find((name) => name === asked.get("sort"));
  return {
    search: asked.get("q") ?? "",
    filter: filter ?? FIRST_CHOICE.filter,
    sort: sort ?? FIRST_CHOICE.sort,
    reversed: asked.has("reversed"),
  };
}

/** The query string of a choice, with its `?`; empty for the first choice. */
export function writeChoice(choice: Choice): string {
  const query = new URLSearchParams();
  if (choice.search) query.set("q", choice.search);
  if (choice.filter !== FIRST_CHOICE.filter) query.set("show", choice.filter);
  if (choice.sort !== FIRST_CHOICE.sort) query.set("sort", choice.sort);
  if (choice.reversed) query.set("reversed", "1");
  const text = query.toString();
  return text ? `?${text}` : "";
}
