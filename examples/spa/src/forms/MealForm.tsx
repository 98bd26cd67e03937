import { useId, type FormEvent, type ReactNode } from "react";

import type { Failure } from "../api/problems";
import type { MealType, Visibility } from "../api/generated";
import { fieldError, Trouble } from "../components/Trouble";
import { useWords } from "../words";
import { useDraft, type Draft } from "./draft";
import { Field } from "./Field";
import { PhotoPicker } from "./PhotoPicker";
import { useFocusOnWrong } from "./useFocusOnWrong";

const MEAL_TYPES: readonly MealType[] = ["breakfast", "brunch", "lunch", "snack", "dinner", "late_night", "drink"];
const VISIBILITIES: readonly Visibility[] = ["public", "unlisted", "followers", "only_me"];
/** The inputs that show themselves what is wrong with them. */
const INPUTS = ["food", "note", "meal_type", "eaten_at", "visibility", "media"];

interface Props {
  draft: Draft;
  failure: Failure | null;
  busy: boolean;
  /** The words of the button. */
  label: string;
  onSubmit: () => void;
  onCancel: () => void;
}

/** A meal, new or being changed. */
export function MealForm({ draft, failure, busy, label, onSubmit, onCancel }: Props) {
  const { t } = useWords();
  const meal = useDraft(draft);
  const form = useFocusOnWrong(failure);
  const sending = meal.photos.some((photo) => photo.state === "sending");
  const wrong = (name: string) => fieldError(failure, name);

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (!busy && !sending) onSubmit();
  }

  return (
    <form ref={form} className="panel" onSubmit={submit}>
      <Field
        label={t("food")}
        hint={t("food_hint")}
        value={meal.food}
        wrong={wrong("food")}
        onChange={(food) => draft.set({ food })}
      />
      <NoteField value={meal.note} wrong={wrong("note")} onChange={(note) => draft.set({ note })} />
      <PhotoPicker draft={draft} photos={meal.photos} wrong={wrong("media")} />
      <div className="columns">
        <Choice
          label={t("meal_type")}
          value={meal.meal_type}
          wrong={wrong("meal_type")}
          onChange={(meal_type) => draft.set({ meal_type })}
        >
          {draft.base === null && <option value="">{t("by_the_hour")}</option>}
          {MEAL_TYPES.map((type) => (
            <option key={type} value={type}>
              {t(type)}
            </option>
          ))}
        </Choice>
        <Choice
          label={t("visibility")}
          value={meal.visibility}
          wrong={wrong("visibility")}
          onChange={(visibility) => draft.set({ visibility })}
        >
          {VISIBILITIES.map((visibility) => (
            <option key={visibility} value={visibility}>
              {t(visibility)}
            </option>
          ))}
        </Choice>
        <Field
          label={t("eaten_at")}
          type="datetime-local"
          {...(draft.base === null && { hint: t("eaten_at_hint") })}
          value={meal.eaten_at}
          wrong={wrong("eaten_at")}
          onChange={(eaten_at) => draft.set({ eaten_at })}
        />
      </div>
      {failure !== null && (
        <Trouble failure={failure} shown={INPUTS} retry={failure.kind === "problem" ? undefined : onSubmit} />
      )}
      <div className="buttons">
        <button type="submit" className="primary" disabled={busy || sending}>
          {label}
        </button>
        <button type="button" className="quiet" onClick={onCancel}>
          {t("cancel")}
        </button>
      </div>
    </form>
  );
}

interface InputProps<Value extends string> {
  value: Value;
  wrong: string | undefined;
  onChange: (value: Value) => void;
}

function NoteField({ value, wrong, onChange }: InputProps<string>) {
  const { t } = useWords();
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{t("note")}</label>
      <textarea
        id={id}
        rows={4}
        value={value}
        aria-invalid={wrong !== undefined}
        aria-describedby={`${id}-hint ${id}-wrong`}
        onChange={(event) => onChange(event.target.value)}
      />
      <p id={`${id}-hint`} className="hint">
        {t("note_hint")}
      </p>
      <p id={`${id}-wrong`} className="wrong">
        {wrong}
      </p>
    </div>
  );
}

interface ChoiceProps<Value extends string> extends InputProps<Value> {
  label: string;
  children: ReactNode;
}

function Choice<Value extends string>({ label, value, wrong, onChange, children }: ChoiceProps<Value>) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        value={value}
        aria-invalid={wrong !== undefined}
        aria-describedby={`${id}-wrong`}
        // Its options are the values of this type.
        onChange={(event) => onChange(event.target.value as Value)}
      >
        {children}
      </select>
      <p id={`${id}-wrong`} className="wrong">
        {wrong}
      </p>
    </div>
  );
}
