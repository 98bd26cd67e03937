import { useEffect, useState } from "react";

import { siteOrigin } from "../api/http";
import type { Failure } from "../api/problems";
import { useWords, type Word } from "../words";

interface Props {
  failure: Failure;
  /** What "Try again" does; without it there is no button. */
  retry?: (() => void) | undefined;
  /** The inputs of a form, which show what is wrong with them themselves. */
  shown?: readonly string[] | undefined;
}

/** What went wrong, in words, and what can be done about it. */
export function Trouble({ failure, retry, shown = [] }: Props) {
  const { t } = useWords();
  const [title, hint] = useTroubleWords(failure);
  const rest = failure.kind === "problem" ? [...failure.fields].filter(([path]) => !isShown(path, shown)) : [];
  const wait = useCountdown(failure);
  return (
    <div role="alert" className="trouble">
      <p className="trouble-title">{title}</p>
      {hint !== null && <p>{hint}</p>}
      {rest.length > 0 && (
        <ul>
          {rest.map(([path, detail]) => (
            <li key={path}>
              {path !== "" && <code>{path}</code>} {detail}
            </li>
          ))}
        </ul>
      )}
      {failure.kind === "problem" && failure.status >= 500 && failure.requestId !== null && (
        <p className="soft">{t("request_id", { id: failure.requestId })}</p>
      )}
      {retry !== undefined && (
        <button type="button" onClick={retry} disabled={wait > 0}>
          {wait > 0 ? t("try_again_in", { n: wait }) : t("try_again")}
        </button>
      )}
      {retry === undefined && wait > 0 && <p>{t("try_again_in", { n: wait })}</p>}
    </div>
  );
}

/** The sentence for the input `name`, from the problem's JSON pointer to it or into it. */
export function fieldError(failure: Failure | null, name: string): string | undefined {
  if (failure?.kind !== "problem") return undefined;
  return [...failure.fields].find(([path]) => isShown(path, [name]))?.[1];
}

function isShown(path: string, names: readonly string[]): boolean {
  return names.some((name) => path === name || path.startsWith(`${name}/`));
}

function useTroubleWords(failure: Failure): [string, string | null] {
  const { t } = useWords();
  if (failure.kind === "problem") return [failure.title, failure.status === 429 ? t("wait_hint") : null];
  if (failure.kind === "bug") return [t("bug"), failure.message];
  const [title, hint]: [Word, Word] =
    failure.kind === "timeout" ? ["timeout", "timeout_hint"] : ["unreachable", "unreachable_hint"];
  return [t(title, { site: siteOrigin() }), t(hint, { origin: window.location.origin })];
}

/** The seconds that are left of `Retry-After`. */
function useCountdown(failure: Failure): number {
  const seconds = failure.kind === "problem" ? (failure.retryAfter ?? 0) : 0;
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    const end = Date.now() + seconds * 1000;
    const show = () => setLeft(Math.max(0, Math.ceil((end - Date.now()) / 1000)));
    show();
    if (seconds === 0) return;
    const timer = setInterval(show, 1000);
    return () => clearInterval(timer);
  }, [failure, seconds]);
  return left;
}
