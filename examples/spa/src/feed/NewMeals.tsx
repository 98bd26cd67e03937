import { useEffect, useState, useSyncExternalStore } from "react";

import { listen } from "../api/stream";
import { useWords } from "../words";
import type { Feed } from "./feed";

/** "3 new meals": what was posted since the list was loaded. It moves nothing by itself under whoever reads. */
export function NewMeals({ feed }: { feed: Feed }) {
  const { count } = useWords();
  const { meals, status } = useSyncExternalStore(feed.subscribe, feed.state);
  const [announced, setAnnounced] = useState<ReadonlySet<string>>(new Set());
  const known = new Set(meals.map((meal) => meal.id));
  const fresh = [...announced].filter((id) => !known.has(id)).length;
  const newest = meals[0]?.id;
  const loaded = meals.length > 0 || status === "end";

  useEffect(() => {
    if (!loaded) return;
    setAnnounced(new Set());
    return listen(newest, (meal) => setAnnounced((before) => new Set(before).add(meal.id)));
  }, [feed, loaded, newest]);

  function show(): void {
    window.scrollTo({ top: 0 });
    void feed.reload();
  }

  return (
    <div role="status" className="new-meals-place">
      {fresh > 0 && (
        <button type="button" className="primary new-meals" onClick={show}>
          {count("new_meals", fresh)}
        </button>
      )}
    </div>
  );
}
