import { useState } from "react";

import { setLiked } from "../api/meals";
import { useUser } from "../api/session";
import type { Meal } from "../api/generated";
import { mealChanged } from "../feed/feeds";
import { useWords } from "../words";
import { useLogin } from "./useLogin";
import { Icon } from "./Icon";

/** "Yum!": shown at once, and taken back if the site does not take it. */
export function LikeButton({ meal }: { meal: Meal }) {
  const { t, count } = useWords();
  const user = useUser();
  const toLogin = useLogin();
  const [change, setChange] = useState<{ of: Meal; liked: boolean } | null>(null);
  const [busy, setBusy] = useState(false);

  // A newer meal from the site knows better than what was pressed.
  const liked = change?.of === meal ? change.liked : meal.viewer.liked;
  const likes = meal.likes_count + Number(liked) - Number(meal.viewer.liked);

  async function toggle(): Promise<void> {
    if (user === null) return toLogin();
    if (busy) return;
    setBusy(true);
    setChange({ of: meal, liked: !liked });
    try {
      await setLiked(meal.id, !liked);
      mealChanged(meal.id, { likes_count: likes + (liked ? -1 : 1), viewer: { ...meal.viewer, liked: !liked } });
    } catch {
      setChange(null);
    } finally {
      setBusy(false);
    }
  }

  return (
    <button
      type="button"
      className="action like"
      aria-pressed={liked}
      title={count("likes", likes)}
      onClick={() => void toggle()}
    >
      <Icon name="heart" filled={liked} /> {t("like")} <span className="number">{likes}</span>
    </button>
  );
}
