import { NavLink, useParams } from "react-router";

import { useUser } from "../api/session";
import { FeedList } from "../feed/FeedList";
import { everybodysFeed, feedOfTag, followedFeed } from "../feed/feeds";
import { NewMeals } from "../feed/NewMeals";
import { useWords } from "../words";

/** Everybody's meals: the start. */
export function PublicPage() {
  const { t } = useWords();
  // Drawn again when somebody logs in or out: the feed is another one then.
  useUser();
  const feed = everybodysFeed();
  return (
    <>
      <title>{t("app")}</title>
      <h1>{t("what_are_people_eating")}</h1>
      <Tabs />
      <NewMeals feed={feed} />
      <FeedList feed={feed} empty={t("nobody_has_eaten")} />
    </>
  );
}

/** The meals of whom one follows, and one's own. */
export function HomePage() {
  const { t } = useWords();
  return (
    <>
      <title>{`${t("following_feed")} · ${t("app")}`}</title>
      <h1>{t("what_are_people_eating")}</h1>
      <Tabs />
      <FeedList feed={followedFeed()} empty={t("nobody_followed_has_eaten")} />
    </>
  );
}

export function TagPage() {
  const { t } = useWords();
  useUser();
  const { tag = "" } = useParams();
  return (
    <>
      <title>{`#${tag} · ${t("app")}`}</title>
      <h1>{t("tagged", { tag })}</h1>
      <FeedList key={tag} feed={feedOfTag(tag)} empty={t("no_meals_of_person")} />
    </>
  );
}

function Tabs() {
  const { t } = useWords();
  if (useUser() === null) return null;
  return (
    <nav className="tabs">
      <NavLink to="/" end>
        {t("everybody")}
      </NavLink>
      <NavLink to="/home">{t("following_feed")}</NavLink>
    </nav>
  );
}
