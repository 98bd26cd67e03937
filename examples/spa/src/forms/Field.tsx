import { useId, type InputHTMLAttributes } from "react";

interface Props extends Omit<InputHTMLAttributes<HTMLInputElement>, "onChange" | "value"> {
  label: string;
  value: string;
  onChange: (value: string) => void;
  hint?: string;
  /** What is wrong with it, in the words of the site. */
  wrong?: string | undefined;
}

/** A labelled line of text, with its hint and with what is wrong with it. */
export function Field({ label, value, onChange, hint, wrong, ...input }: Props) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        {...input}
        id={id}
        value={value}
        aria-invalid={wrong !== undefined}
        aria-describedby={`${id}-hint ${id}-wrong`}
        onChange={(event) => onChange(event.target.value)}
      />
      {hint !== undefined && (
        <p id={`${id}-hint`} className="hint">
          {hint}
        </p>
      )}
      <p id={`${id}-wrong`} className="wrong">
        {wrong}
      </p>
    </div>
  );
}
