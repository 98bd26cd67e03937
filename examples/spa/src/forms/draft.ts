/**
 * What is being written: kept outside of the components, in the memory of the page, so that it is still there after a
 * sign-in that had to be renewed. Uploads go on in it wherever one looks meanwhile.
 */
import { useSyncExternalStore } from "react";

import type { TaggedMeal } from "../api/meals";
import type { Failure } from "../api/problems";
import { currentUser, onSessionEnd, subscribeSession } from "../api/session";
import type { MealType, Visibility } from "../api/generated";
import { OncePerBody } from "./once";

export interface PhotoDraft {
  /** Ours; the site's `id` comes with the answer to the upload. */
  key: string;
  id: string | null;
  state: "sending" | "processing" | "slow" | "ready" | "failed";
  /** How much of the file is sent, from 0 to 1. */
  progress: number;
  description: string;
  /** What an `<img>` can show: an address of the file that was chosen, or of the site. */
  preview: string | null;
  failure: Failure | null;
}

export interface MealDraft {
  food: string;
  note: string;
  /** Empty: the site guesses by the hour. */
  meal_type: MealType | "";
  /** As `<input type="datetime-local">` writes it, in the time zone of the browser; empty: now. */
  eaten_at: string;
  visibility: Visibility;
  photos: readonly PhotoDraft[];
}

export class Draft {
  /** For a change: the meal as it was when writing began. */
  readonly base: TaggedMeal | null;
  /** For a new meal: what makes one of it, however often it is sent. */
  readonly once = new OncePerBody();
  #value: MealDraft;
  #touched = false;
  readonly #listeners = new Set<() => void>();

  constructor(value: MealDraft, base: TaggedMeal | null) {
    this.#value = value;
    this.base = base;
  }

  readonly value = (): MealDraft => this.#value;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Whether anything was written yet. */
  get touched(): boolean {
    return this.#touched;
  }

  set(change: Partial<MealDraft>): void {
    this.#touched = true;
    this.#value = { ...this.#value, ...change };
    for (const listener of this.#listeners) listener();
  }

  /** Change one photo; nothing when it has been removed meanwhile. */
  setPhoto(key: string, change: Partial<PhotoDraft>): void {
    this.set({ photos: this.#value.photos.map((one) => (one.key === key ? { ...one, ...change } : one)) });
  }
}

const drafts = new Map<string, Draft>();
let author: string | null = null;

// A sign-in that ended leaves them for whoever comes back; a log-out does not, and neither does somebody else.
onSessionEnd((reason) => {
  if (reason === "logout") drafts.clear();
});
subscribeSession(() => {
  const user = currentUser();
  if (user === null) return;
  if (user.username !== author) drafts.clear();
  author = user.username;
});

/** The draft called `name` if something was written in it, otherwise one that `make` makes. */
export function draftNamed(name: string, make: () => Draft): Draft {
  const known = drafts.get(name);
  if (known?.touched) return known;
  const draft = make();
  drafts.set(name, draft);
  return draft;
}

/** It is sent, or not wanted any more. */
export function forgetDraft(name: string): void {
  drafts.delete(name);
}

export function useDraft(draft: Draft): MealDraft {
  return useSyncExternalStore(draft.subscribe, draft.value);
}
