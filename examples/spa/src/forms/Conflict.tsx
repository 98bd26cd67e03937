import type { TaggedMeal } from "../api/meals";
import { Dialog } from "../components/Dialog";
import { useWords, type Words } from "../words";
import { differences, draftOf, onTop } from "./convert";
import type { Draft, MealDraft } from "./draft";

interface Props {
  draft: Draft;
  /** The meal as it was when writing began. */
  base: TaggedMeal;
  /** As it is on the site now. */
  theirs: TaggedMeal;
  busy: boolean;
  onTake: () => void;
  onSave: () => void;
  onClose: () => void;
}

/** Somebody else saved first: both versions beside each other, and the choice. */
export function Conflict({ draft, base, theirs, busy, onTake, onSave, onClose }: Props) {
  const { t } = useWords();
  const before = draftOf(base.meal);
  const now = draftOf(theirs.meal);
  const merged = onTop(now, before, draft.value());
  const rows = [...new Set([...differences(before, now), ...differences(now, merged)])];
  return (
    <Dialog title={t("conflict_title")} onClose={onClose}>
      <p>{t("conflict_text")}</p>
      <div className="versions">
        <Version title={t("conflict_theirs")} meal={now} rows={rows} marked={differences(before, now)} />
        <Version title={t("conflict_mine")} meal={merged} rows={rows} marked={differences(now, merged)} />
      </div>
      <div className="buttons">
        <button type="button" className="primary" disabled={busy} onClick={onSave}>
          {t("save_mine")}
        </button>
        <button type="button" className="quiet" disabled={busy} onClick={onTake}>
          {t("take_theirs")}
        </button>
        <button type="button" className="quiet" onClick={onClose}>
          {t("keep_editing")}
        </button>
      </div>
    </Dialog>
  );
}

interface VersionProps {
  title: string;
  meal: MealDraft;
  rows: readonly (keyof MealDraft)[];
  /** The rows that this version has changed. */
  marked: readonly (keyof MealDraft)[];
}

function Version({ title, meal, rows, marked }: VersionProps) {
  const words = useWords();
  return (
    <section className="version">
      <h3>{title}</h3>
      <dl>
        {rows.map((name) => (
          <div key={name}>
            <dt>{words.t(name)}</dt>
            <dd>{marked.includes(name) ? <mark>{asText(meal, name, words)}</mark> : asText(meal, name, words)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

/** The value of an input as text. */
function asText(meal: MealDraft, name: keyof MealDraft, { t, dateTime }: Words): string {
  if (name === "photos") return meal.photos.map((photo) => photo.description || "▢").join(", ") || t("nothing");
  if (name === "eaten_at") return meal.eaten_at === "" ? t("nothing") : dateTime(meal.eaten_at);
  if (name === "visibility") return t(meal.visibility);
  if (name === "meal_type") return meal.meal_type === "" ? t("by_the_hour") : t(meal.meal_type);
  return meal[name] || t("nothing");
}
