/** Lists page by the `Link` header (RFC 8288): its address is followed as it is, so nothing is left out or doubled. */
import type { AxiosResponse } from "axios";

import { http, onSite } from "./http";
import { header } from "./problems";

export interface Page<Item> {
  items: Item[];
  /** The address of the next page, or null on the last one. */
  next: string | null;
}

/** The page in an answer of one of the generated functions. */
export function pageOf<Item>(answer: AxiosResponse<Item[]>): Page<Item> {
  return { items: answer.data, next: nextLink(header(answer, "link")) };
}

/** The page at `next`, an address from another page. */
export async function followLink<Item>(next: string): Promise<Page<Item>> {
  return pageOf(await http.get<Item[]>(onSite(next)));
}

function nextLink(link: string | null): string | null {
  for (const [, address, parameters] of (link ?? "").matchAll(/<([^>]*)>([^,]*)/g)) {
    if (address !== undefined && /;\s*rel="?next"?/.test(parameters ?? "")) return address;
  }
  return null;
}
