import { useState } from "react";
import { useLoaderData, useNavigate } from "react-router";

import { changeMeal, getMeal, type TaggedMeal } from "../api/meals";
import { failureOf, isProblem, type Failure } from "../api/problems";
import type { Meal, MealPatch } from "../api/generated";
import { mealChanged } from "../feed/feeds";
import { Conflict } from "../forms/Conflict";
import { draftOf, patchOf } from "../forms/convert";
import { Draft, draftNamed, forgetDraft } from "../forms/draft";
import { MealForm } from "../forms/MealForm";
import { useWords } from "../words";
import type { loadMeal } from "./MealPage";

/**
 * Changes a meal, but never over somebody else's change unseen: the patch goes with the entity tag of the version that
 * was on the screen when writing began, and the site refuses it (412) if there is a newer one.
 */
export function EditMealPage() {
  const loaded = useLoaderData<typeof loadMeal>();
  return <Editor key={loaded.meal.id} loaded={loaded} />;
}

function Editor({ loaded }: { loaded: TaggedMeal }) {
  const { t } = useWords();
  const navigate = useNavigate();
  const { id } = loaded.meal;
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [theirs, setTheirs] = useState<TaggedMeal | null>(null);
  const [draft] = useState(() => draftNamed(id, () => new Draft(draftOf(loaded.meal), loaded)));
  const base = draft.base ?? loaded;

  async function save(etag: string | null): Promise<void> {
    const patch = patchOf(draftOf(base.meal), draft.value());
    setBusy(true);
    setFailure(null);
    try {
      if (Object.keys(patch).length > 0) await send(patch, etag);
      else await leave();
    } catch (error) {
      setTheirs(null);
      setFailure(failureOf(error));
    } finally {
      setBusy(false);
    }
  }

  async function send(patch: MealPatch, etag: string | null): Promise<void> {
    try {
      mealChanged(id, await changeMeal(id, patch, etag));
      await leave();
    } catch (error) {
      if (!isProblem(error, 412)) throw error;
      setTheirs(await getMeal(id));
    }
  }

  async function take(meal: Meal): Promise<void> {
    mealChanged(id, meal);
    await leave();
  }

  async function leave(): Promise<void> {
    forgetDraft(id);
    await navigate(`/meals/${id}`, { replace: true });
  }

  return (
    <>
      <title>{`${t("edit_meal")} · ${t("app")}`}</title>
      <h1>{t("edit_meal")}</h1>
      <MealForm
        draft={draft}
        failure={failure}
        busy={busy}
        label={busy ? t("saving") : t("save")}
        onSubmit={() => void save(base.etag)}
        onCancel={() => void leave()}
      />
      {theirs !== null && (
        <Conflict
          draft={draft}
          base={base}
          theirs={theirs}
          busy={busy}
          onTake={() => void take(theirs.meal)}
          onSave={() => void save(theirs.etag)}
          onClose={() => setTheirs(null)}
        />
      )}
    </>
  );
}
