/** Between a meal as the API has it and a meal as the form has it. */
import type { Meal, MealInput, MealPatch } from "../api/generated";
import type { MealDraft, PhotoDraft } from "./draft";

export const EMPTY: MealDraft = {
  food: "",
  note: "",
  meal_type: "",
  eaten_at: "",
  visibility: "public",
  photos: [],
};

export function draftOf(meal: Meal): MealDraft {
  const photos = meal.media.map(
    (photo): PhotoDraft => ({
      key: photo.id,
      id: photo.id,
      state: photo.state,
      progress: 1,
      description: photo.description,
      preview: photo.preview_url,
      failure: null,
    }),
  );
  const { food, note, meal_type, visibility } = meal;
  return { food, note, meal_type, visibility, photos, eaten_at: localTime(meal.eaten_at) };
}

/** The body of a new meal. */
export function bodyOf(draft: MealDraft): MealInput {
  return {
    food: draft.food,
    note: draft.note,
    visibility: draft.visibility,
    ...(draft.meal_type !== "" && { meal_type: draft.meal_type }),
    ...(draft.eaten_at !== "" && { eaten_at: new Date(draft.eaten_at).toISOString() }),
    media: draft.photos.flatMap(({ id, description }) => (id === null ? [] : [{ id, description }])),
  };
}

/** Only what is different: the merge patch (RFC 7396) that makes `after` of `before`. */
export function patchOf(before: MealDraft, after: MealDraft): MealPatch {
  const old = new Map(Object.entries(bodyOf(before)));
  const changed = Object.entries(bodyOf(after)).filter(([name, value]) => !same(value, old.get(name)));
  return Object.fromEntries(changed);
}

/** The inputs in which two drafts differ. */
export function differences(one: MealDraft, other: MealDraft): (keyof MealDraft)[] {
  const names = Object.keys(EMPTY) as (keyof MealDraft)[];
  return names.filter((name) => !same(told(one, name), told(other, name)));
}

/** `theirs`, with what was changed from `base` to `mine` laid on top: what a patch makes of it. */
export function onTop(theirs: MealDraft, base: MealDraft, mine: MealDraft): MealDraft {
  const changed = differences(base, mine).map((name) => [name, mine[name]] as const);
  return { ...theirs, ...Object.fromEntries(changed) };
}

function told(draft: MealDraft, name: keyof MealDraft): unknown {
  return name === "photos" ? bodyOf(draft).media : draft[name];
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** A moment as `<input type="datetime-local">` writes it, in the time zone of the browser. */
function localTime(iso: string): string {
  const moment = new Date(iso);
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
