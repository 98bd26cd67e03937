import { useState } from "react";
import { Link } from "react-router";

import type { Meal } from "../api/generated";
import { useWords } from "../words";
import { Avatar } from "./Avatar";
import { Icon } from "./Icon";
import { LikeButton } from "./LikeButton";
import { Photo } from "./Photo";
import { RichText } from "./RichText";

/** A meal in a list, or with `whole` on a page of its own, where its heading is that of the page. */
export function MealCard({ meal, whole = false }: { meal: Meal; whole?: boolean }) {
  const { t } = useWords();
  const [shown, setShown] = useState(meal.spoiler_text === "");
  const address = `/meals/${meal.id}`;
  return (
    <article className="card">
      <Byline meal={meal} />
      <FoodHeading meal={meal} whole={whole} covered={!shown} />
      {meal.viewer.avoided.length > 0 && <Avoided meal={meal} />}
      {!shown && (
        <button type="button" className="quiet" onClick={() => setShown(true)}>
          {t("show")}
        </button>
      )}
      {shown && meal.note !== "" && <RichText html={meal.note_html} />}
      {shown && meal.media.length > 0 && (
        <div className="photos">
          {meal.media.map((photo) => (
            <Photo
              key={photo.id}
              photo={photo}
              food={meal.food}
              visibility={meal.visibility}
              large={whole}
              covered={meal.sensitive}
            />
          ))}
        </div>
      )}
      <footer className="card-foot">
        <LikeButton meal={meal} />
        <Link to={`${address}#comments`} className="action" aria-label={`${t("comments")}: ${meal.comments_count}`}>
          <Icon name="comment" /> {meal.comments_count}
        </Link>
      </footer>
    </article>
  );
}

function Byline({ meal }: { meal: Meal }) {
  const { t, ago, dateTime } = useWords();
  return (
    <header className="byline">
      <Avatar user={meal.user} />
      <div>
        <Link to={`/people/${meal.user.username}`} className="name">
          {meal.user.display_name}
        </Link>
        <p className="soft">
          <time dateTime={meal.created_at} title={dateTime(meal.created_at)}>
            {ago(meal.created_at)}
          </time>
          {meal.edited_at !== null && ` · ${t("edited")}`}
          {meal.visibility !== "public" && (
            <>
              {" · "}
              <Icon name="lock" /> {t(meal.visibility)}
            </>
          )}
        </p>
      </div>
      <span className={`mealtype mealtype-${meal.meal_type}`}>{t(meal.meal_type)}</span>
    </header>
  );
}

/** What it was; of a meal with a content warning only the warning, until its reader asks for more. */
function FoodHeading({ meal, whole, covered }: { meal: Meal; whole: boolean; covered: boolean }) {
  const { t } = useWords();
  const food = covered ? meal.spoiler_text : meal.food || t(meal.meal_type);
  if (whole) return <h1>{food}</h1>;
  return (
    <h2>
      <Link to={`/meals/${meal.id}`}>{food}</Link>
    </h2>
  );
}

/** What was declared to be in it and this reader avoids; nothing is ever said of what was not declared. */
function Avoided({ meal }: { meal: Meal }) {
  const { t, list } = useWords();
  return <p className="warning">{t("avoided", { allergens: list(meal.viewer.avoided.map((one) => t(one))) })}</p>;
}
