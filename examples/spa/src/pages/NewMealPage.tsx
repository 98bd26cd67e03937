import { useState } from "react";
import { useNavigate } from "react-router";

import { postMeal } from "../api/meals";
import { failureOf, type Failure } from "../api/problems";
import { forgetFeeds } from "../feed/feeds";
import { bodyOf, EMPTY } from "../forms/convert";
import { Draft, draftNamed, forgetDraft } from "../forms/draft";
import { MealForm } from "../forms/MealForm";
import { useWords } from "../words";

const NAME = "new";

export function NewMealPage() {
  const { t } = useWords();
  const navigate = useNavigate();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [draft] = useState(() => draftNamed(NAME, () => new Draft(EMPTY, null)));

  async function post(): Promise<void> {
    const time_zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const body = { ...bodyOf(draft.value()), time_zone };
    setBusy(true);
    setFailure(null);
    try {
      const meal = await postMeal(body, draft.once.keyFor(body));
      forgetDraft(NAME);
      forgetFeeds();
      await navigate(`/meals/${meal.id}`, { replace: true });
    } catch (error) {
      setFailure(failureOf(error));
      setBusy(false);
    }
  }

  function cancel(): void {
    forgetDraft(NAME);
    void navigate("/");
  }

  return (
    <>
      <title>{`${t("post_meal")} · ${t("app")}`}</title>
      <h1>{t("what_did_you_eat")}</h1>
      <MealForm
        draft={draft}
        failure={failure}
        busy={busy}
        label={busy ? t("posting") : t("post")}
        onSubmit={() => void post()}
        onCancel={cancel}
      />
    </>
  );
}
