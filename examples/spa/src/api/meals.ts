/** Meals with what their headers say: the entity tag is what makes a change safe. */
import {
  createComment,
  createMeal,
  deleteMeal,
  likeMeal,
  listComments,
  patchMeal,
  readMeal,
  unlikeMeal,
  type Comment,
  type Meal,
  type MealInput,
  type MealPatch,
} from "./generated";
import { pageOf, type Page } from "./paging";
import { header } from "./problems";

/** A meal and the entity tag of this version of it. */
export interface TaggedMeal {
  meal: Meal;
  etag: string | null;
}

export async function getMeal(id: string): Promise<TaggedMeal> {
  const answer = await readMeal({ path: { id } });
  return { meal: answer.data, etag: header(answer, "etag") };
}

/** Posts a meal, once for each `key`: a request that is made again is answered as the first one was. */
export async function postMeal(body: MealInput, key: string): Promise<Meal> {
  const { data } = await createMeal({ body, headers: { "Idempotency-Key": key } });
  return data;
}

/** Changes the members in `patch` (RFC 7396). Rejects with 412 when `etag` is no longer that of the meal. */
export async function changeMeal(id: string, patch: MealPatch, etag: string | null): Promise<Meal> {
  const { data } = await patchMeal({
    path: { id },
    body: patch,
    headers: { ...ifMatch(etag), "Content-Type": "application/merge-patch+json" },
  });
  return data;
}

/** Deletes the meal and its photos. Rejects with 412 when `etag` is no longer that of the meal. */
export async function removeMeal(id: string, etag: string | null): Promise<void> {
  await deleteMeal({ path: { id }, headers: ifMatch(etag) });
}

/** Doing either twice changes nothing. */
export async function setLiked(id: string, liked: boolean): Promise<void> {
  await (liked ? likeMeal({ path: { id } }) : unlikeMeal({ path: { id } }));
}

export async function getComments(id: string): Promise<Page<Comment>> {
  return pageOf(await listComments({ path: { id } }));
}

export async function postComment(id: string, note: string, key: string): Promise<Comment> {
  const { data } = await createComment({ path: { id }, body: { note }, headers: { "Idempotency-Key": key } });
  return data;
}

function ifMatch(etag: string | null): { "If-Match"?: string } {
  return etag === null ? {} : { "If-Match": etag };
}
