/** New meals as they are posted: server-sent events, which the browser listens to and reconnects by itself. */
import { siteOrigin } from "./http";
import type { Meal } from "./generated";

/**
 * Calls `onMeal` for each public meal that is posted after the meal `newest`; returns what ends it.
 *
 * `EventSource` sends no token, so this is what a visitor sees. Where the site has no stream, or no room for one more
 * listener, nothing happens: the list works without. A tab that nobody looks at does not listen, because a browser
 * opens no more than six connections to a site that speaks HTTP/1.1, for all tabs together.
 */
export function listen(newest: string | undefined, onMeal: (meal: Meal) => void): () => void {
  let source: EventSource | null = null;
  let last = newest;

  function update(): void {
    if (document.hidden) {
      source?.close();
      source = null;
    } else {
      source ??= open();
    }
  }

  function open(): EventSource {
    const address = new URL("/api/feed/stream", siteOrigin());
    if (last !== undefined) address.searchParams.set("last_event_id", last);
    const opened = new EventSource(address);
    opened.addEventListener("meal", (event: MessageEvent<string>) => {
      last = event.lastEventId || last;
      const meal: unknown = JSON.parse(event.data);
      if (isMeal(meal)) onMeal(meal);
    });
    return opened;
  }

  document.addEventListener("visibilitychange", update);
  update();
  return () => {
    document.removeEventListener("visibilitychange", update);
    source?.close();
    source = null;
  };
}

/** The document calls a stream text, so what comes in it is looked at before it is believed. */
function isMeal(data: unknown): data is Meal {
  return typeof data === "object" && data !== null && "id" in data && typeof data.id === "string";
}
