import { useLoaderData, useRevalidator, type LoaderFunctionArgs } from "react-router";

import { getPerson } from "../api/people";
import { useUser } from "../api/session";
import { Avatar } from "../components/Avatar";
import { FollowButton } from "../components/FollowButton";
import { RichText } from "../components/RichText";
import { FeedList } from "../feed/FeedList";
import { feedOfPerson } from "../feed/feeds";
import { useWords } from "../words";

export function loadPerson({ params }: LoaderFunctionArgs) {
  return getPerson(params["username"] ?? "");
}

export function PersonPage() {
  const { t, count, month } = useWords();
  const person = useLoaderData<typeof loadPerson>();
  const { revalidate } = useRevalidator();
  useUser();
  return (
    <>
      <title>{`${person.display_name} · ${t("app")}`}</title>
      <header className="person">
        <Avatar user={person} large />
        <div>
          <h1>{person.display_name}</h1>
          <p className="soft">
            @{person.username}
            {person.viewer.followed_by && ` · ${t("follows_you")}`}
          </p>
        </div>
        <FollowButton person={person} onChange={() => void revalidate()} />
        {person.bio !== "" && <RichText html={person.bio_html} />}
        <p className="soft facts">
          <span>{count("meals", person.meals_count)}</span>
          <span>{count("followers", person.followers_count)}</span>
          <span>{t("joined", { date: month(person.created_at) })}</span>
        </p>
      </header>
      <FeedList key={person.username} feed={feedOfPerson(person.username)} empty={t("no_meals_of_person")} />
    </>
  );
}
