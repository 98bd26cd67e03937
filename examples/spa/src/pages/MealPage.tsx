import { useState } from "react";
import { Link, useLoaderData, useNavigate, useRevalidator, type LoaderFunctionArgs } from "react-router";

import { getMeal, removeMeal } from "../api/meals";
import { failureOf, isProblem, type Failure } from "../api/problems";
import { Comments } from "../components/Comments";
import { Dialog } from "../components/Dialog";
import { MealCard } from "../components/MealCard";
import { Trouble } from "../components/Trouble";
import { mealRemoved } from "../feed/feeds";
import { useWords } from "../words";

export function loadMeal({ params }: LoaderFunctionArgs) {
  return getMeal(params["id"] ?? "");
}

export function MealPage() {
  const { t } = useWords();
  const { meal, etag } = useLoaderData<typeof loadMeal>();
  return (
    <>
      <title>{`${meal.food || t(meal.meal_type)} · ${t("app")}`}</title>
      <MealCard meal={meal} whole />
      {meal.viewer.can_edit && (
        <p className="buttons">
          <Link to={`/meals/${meal.id}/edit`} className="button quiet">
            {t("edit")}
          </Link>
          <DeleteButton id={meal.id} etag={etag} />
        </p>
      )}
      <Comments key={meal.id} meal={meal} />
    </>
  );
}

/** Deletes what its reader has seen: with the entity tag, a meal that has changed since is not deleted unseen. */
function DeleteButton({ id, etag }: { id: string; etag: string | null }) {
  const { t } = useWords();
  const navigate = useNavigate();
  const { revalidate } = useRevalidator();
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const [changed, setChanged] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);

  async function remove(): Promise<void> {
    setBusy(true);
    setFailure(null);
    try {
      await removeMeal(id, etag);
      mealRemoved(id);
      await navigate("/", { replace: true });
    } catch (error) {
      setAsking(false);
      if (isProblem(error, 412)) {
        setChanged(true);
        await revalidate();
      } else {
        setFailure(failureOf(error));
      }
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <button type="button" className="quiet bad" onClick={() => setAsking(true)}>
        {t("delete")}
      </button>
      {changed && <span role="alert">{t("delete_changed")}</span>}
      {failure !== null && <Trouble failure={failure} retry={() => void remove()} />}
      {asking && (
        <Dialog title={t("delete_title")} onClose={() => setAsking(false)}>
          <p>{t("delete_text")}</p>
          <div className="buttons">
            <button type="button" className="primary bad" disabled={busy} onClick={() => void remove()}>
              {t("delete")}
            </button>
            <button type="button" className="quiet" autoFocus onClick={() => setAsking(false)}>
              {t("cancel")}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}
