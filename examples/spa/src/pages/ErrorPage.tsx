import { isRouteErrorResponse, Link, useRevalidator, useRouteError } from "react-router";

import { failureOf } from "../api/problems";
import { Trouble } from "../components/Trouble";
import { useWords } from "../words";

/** In place of a page that could not be loaded. */
export function ErrorPage() {
  const error = useRouteError();
  const { revalidate } = useRevalidator();
  if (isRouteErrorResponse(error)) return <NotFoundPage />;
  const failure = failureOf(error);
  const final = failure.kind === "problem" && failure.status < 500 && failure.status !== 429;
  return (
    <>
      <Trouble failure={failure} retry={final ? undefined : () => void revalidate()} />
      <BackToStart />
    </>
  );
}

export function NotFoundPage() {
  const { t } = useWords();
  return (
    <>
      <title>{t("app")}</title>
      <h1>{t("not_found")}</h1>
      <BackToStart />
    </>
  );
}

function BackToStart() {
  const { t } = useWords();
  return (
    <p>
      <Link to="/">{t("to_start")}</Link>
    </p>
  );
}
