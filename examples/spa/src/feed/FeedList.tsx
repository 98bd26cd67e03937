import { useEffect, useRef, useSyncExternalStore } from "react";
import { useLocation, useNavigationType } from "react-router";

import { Busy } from "../components/Busy";
import { MealCard } from "../components/MealCard";
import { Trouble } from "../components/Trouble";
import { useWords } from "../words";
import type { Feed } from "./feed";

interface Props {
  feed: Feed;
  /** What stands there when there is nothing in it. */
  empty: string;
}

/** The meals of a feed; the next page comes before its end is reached, or by the button. */
export function FeedList({ feed, empty }: Props) {
  const { t } = useWords();
  const { meals, status, failure } = useSyncExternalStore(feed.subscribe, feed.state);
  const arrived = useNavigationType();
  const { key } = useLocation();
  const end = useRef<HTMLDivElement>(null);

  useEffect(() => {
    // Who comes back finds the list as it was; who comes anew sees what is new.
    if (feed.state().status === "fresh") void feed.more();
    else if (arrived !== "POP" && feed.state().status !== "loading") void feed.reload();
  }, [feed, arrived, key]);

  useEffect(() => {
    const target = end.current;
    if (target === null || status !== "open") return;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) void feed.more();
      },
      { rootMargin: "0px 0px 600px 0px" },
    );
    observer.observe(target);
    return () => observer.disconnect();
  }, [feed, status, meals.length]);

  return (
    <section aria-busy={status === "loading"} className="feed">
      {meals.map((meal) => (
        <MealCard key={meal.id} meal={meal} />
      ))}
      <div ref={end} className="feed-end">
        {status === "loading" && <Busy />}
        {status === "open" && (
          <button type="button" className="quiet" onClick={() => void feed.more()}>
            {t("more")}
          </button>
        )}
        {status === "end" && <p className="soft">{meals.length === 0 ? empty : t("that_is_all")}</p>}
        {failure !== null && <Trouble failure={failure} retry={() => void feed.more()} />}
      </div>
    </section>
  );
}
