/** The lists of this page, by name; forgotten when somebody logs in or out, because they are another person's then. */
import { homeFeed, listPersonMeals, publicFeed, tagFeed } from "../api/generated";
import { pageOf, type Page } from "../api/paging";
import { subscribeSession } from "../api/session";
import type { Meal } from "../api/generated";
import { Feed } from "./feed";

const feeds = new Map<string, Feed>();
/** More than anybody goes back to. */
const MOST = 20;

subscribeSession(() => feeds.clear());

export const everybodysFeed = (): Feed => feedOf("public", async () => pageOf(await publicFeed()));

export const followedFeed = (): Feed => feedOf("home", async () => pageOf(await homeFeed()));

export function feedOfTag(tag: string): Feed {
  return feedOf(`tag ${tag.toLowerCase()}`, async () => pageOf(await tagFeed({ path: { tag } })));
}

export function feedOfPerson(username: string): Feed {
  return feedOf(`person ${username.toLowerCase()}`, async () => pageOf(await listPersonMeals({ path: { username } })));
}

/** A meal is different now, wherever it is shown. */
export function mealChanged(id: string, change: Partial<Meal>): void {
  for (const feed of feeds.values()) feed.change(id, change);
}

export function mealRemoved(id: string): void {
  for (const feed of feeds.values()) feed.remove(id);
}

/** There is a new meal, or one has come into other lists: what is loaded may be short of it. */
export function forgetFeeds(): void {
  feeds.clear();
}

function feedOf(name: string, first: () => Promise<Page<Meal>>): Feed {
  const known = feeds.get(name);
  if (known !== undefined) return known;
  const oldest = feeds.keys().next();
  if (feeds.size >= MOST && !oldest.done) feeds.delete(oldest.value);
  const feed = new Feed(first);
  feeds.set(name, feed);
  return feed;
}
