import { useState, type FormEvent } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";

import { failureOf, type Failure } from "../api/problems";
import { logIn } from "../api/signin";
import { Trouble } from "../components/Trouble";
import { nextPath } from "../components/useLogin";
import { Field } from "../forms/Field";
import { useWords } from "../words";

export function LoginPage() {
  const { t } = useWords();
  const [search] = useSearchParams();
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);

  async function send(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setFailure(null);
    try {
      await logIn(name.trim(), password);
      await navigate(nextPath(search), { replace: true });
    } catch (error) {
      setFailure(failureOf(error));
      setBusy(false);
    }
  }

  return (
    <>
      <title>{`${t("log_in")} · ${t("app")}`}</title>
      <form className="panel" onSubmit={(event) => void send(event)}>
        <h1>{t("log_in_title")}</h1>
        {search.get("why") === "ended" && <p className="notice">{t("log_in_ended")}</p>}
        {search.get("why") === "required" && <p className="notice">{t("log_in_required")}</p>}
        {failure !== null && <Trouble failure={failure} />}
        <Field label={t("name_or_email")} value={name} onChange={setName} autoComplete="username" required autoFocus />
        <Field
          label={t("password")}
          type="password"
          value={password}
          onChange={setPassword}
          autoComplete="current-password"
          required
        />
        <div className="buttons">
          <button type="submit" className="primary" disabled={busy}>
            {t("log_in")}
          </button>
        </div>
        <p className="soft">{t("only_in_memory")}</p>
        <p>
          {t("no_account")} <Link to={`/register?${search}`}>{t("sign_up")}</Link>
        </p>
      </form>
    </>
  );
}
