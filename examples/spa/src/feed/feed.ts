/**
 * A list that grows downwards: what was loaded stays when one looks at a meal and comes back. Pages are asked for by the
 * `Link` of the one before, which names the last meal and not a number, so others may post in between.
 */
import { failureOf, type Failure } from "../api/problems";
import { followLink, type Page } from "../api/paging";
import type { Meal } from "../api/generated";

/** What a component draws; a new object with each change. */
export interface FeedState {
  meals: readonly Meal[];
  /** `fresh` has not been asked for yet, `open` goes on, `end` does not. */
  status: "fresh" | "loading" | "open" | "end" | "failed";
  failure: Failure | null;
}

const FRESH: FeedState = { meals: [], status: "fresh", failure: null };

export class Feed {
  #state = FRESH;
  #next: string | null = null;
  /** Counts the beginnings: an answer to a question from before the last one is thrown away. */
  #round = 0;
  readonly #first: () => Promise<Page<Meal>>;
  readonly #listeners = new Set<() => void>();

  constructor(first: () => Promise<Page<Meal>>) {
    this.#first = first;
  }

  readonly state = (): FeedState => this.#state;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** The next page, or the first; nothing when one is on its way or there is none. */
  readonly more = async (): Promise<void> => {
    if (this.#state.status === "loading" || this.#state.status === "end") return;
    const round = this.#round;
    this.#set({ ...this.#state, status: "loading", failure: null });
    try {
      const page = this.#next === null ? await this.#first() : await followLink<Meal>(this.#next);
      if (round !== this.#round) return;
      this.#next = page.next;
      const meals = [...this.#state.meals, ...page.items];
      this.#set({ meals, status: page.next === null ? "end" : "open", failure: null });
    } catch (error) {
      if (round === this.#round) this.#set({ ...this.#state, status: "failed", failure: failureOf(error) });
    }
  };

  /** From the top again. */
  readonly reload = async (): Promise<void> => {
    this.#round += 1;
    this.#next = null;
    this.#set(FRESH);
    await this.more();
  };

  /** A meal is different now. */
  change(id: string, change: Partial<Meal>): void {
    if (!this.#state.meals.some((meal) => meal.id === id)) return;
    const meals = this.#state.meals.map((meal) => (meal.id === id ? { ...meal, ...change } : meal));
    this.#set({ ...this.#state, meals });
  }

  /** A meal is gone. */
  remove(id: string): void {
    this.#set({ ...this.#state, meals: this.#state.meals.filter((meal) => meal.id !== id) });
  }

  #set(state: FeedState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}
