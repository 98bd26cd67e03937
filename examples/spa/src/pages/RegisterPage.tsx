import { useState, type FormEvent } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";

import { failureOf, type Failure } from "../api/problems";
import { signUp, type Registration } from "../api/signin";
import { fieldError, Trouble } from "../components/Trouble";
import { nextPath } from "../components/useLogin";
import { Field } from "../forms/Field";
import { useFocusOnWrong } from "../forms/useFocusOnWrong";
import { useWords } from "../words";

const EMPTY: Registration = { username: "", email: "", password: "" };
const INPUTS = ["username", "email", "password"] as const;

export function RegisterPage() {
  const { t } = useWords();
  const [search] = useSearchParams();
  const navigate = useNavigate();
  const [person, setPerson] = useState(EMPTY);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);

  const form = useFocusOnWrong(failure);

  async function send(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setFailure(null);
    try {
      await signUp(person);
      await navigate(nextPath(search), { replace: true });
    } catch (error) {
      setFailure(failureOf(error));
      setBusy(false);
    }
  }

  /** What the inputs have in common. */
  const input = (name: (typeof INPUTS)[number]) => ({
    label: t(name),
    value: person[name],
    wrong: fieldError(failure, name),
    onChange: (value: string) => setPerson({ ...person, [name]: value }),
    required: true,
  });

  return (
    <>
      <title>{`${t("sign_up")} · ${t("app")}`}</title>
      <form ref={form} className="panel" onSubmit={(event) => void send(event)}>
        <h1>{t("sign_up_title")}</h1>
        <Field {...input("username")} hint={t("username_hint")} autoComplete="username" autoFocus />
        <Field {...input("email")} type="email" autoComplete="email" />
        <Field {...input("password")} type="password" hint={t("password_hint")} autoComplete="new-password" />
        {failure !== null && <Trouble failure={failure} shown={INPUTS} />}
        <div className="buttons">
          <button type="submit" className="primary" disabled={busy}>
            {t("sign_up")}
          </button>
        </div>
        <p>
          {t("have_account")} <Link to={`/login?${search}`}>{t("log_in")}</Link>
        </p>
      </form>
    </>
  );
}
