import { useState } from "react";

import { follow, unfollow } from "../api/people";
import { failureOf, type Failure } from "../api/problems";
import { useUser } from "../api/session";
import type { Person } from "../api/generated";
import { useWords } from "../words";
import { Trouble } from "./Trouble";
import { useLogin } from "./useLogin";

interface Props {
  person: Person;
  /** The person has other numbers now. */
  onChange: () => void;
}

/** Follow, or stop following; where somebody has to agree first it is a request until then. */
export function FollowButton({ person, onChange }: Props) {
  const { t } = useWords();
  const user = useUser();
  const toLogin = useLogin();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const { own, following, requested } = person.viewer;
  if (own) return null;

  async function toggle(): Promise<void> {
    if (user === null) return toLogin();
    setBusy(true);
    setFailure(null);
    try {
      if (following || requested) await unfollow(person.username);
      else await follow(person.username);
      onChange();
    } catch (error) {
      setFailure(failureOf(error));
    } finally {
      setBusy(false);
    }
  }

  const name = person.display_name;
  const [label, title] = following
    ? [t("unfollow"), t("unfollow_title", { name })]
    : requested
      ? [t("requested"), t("requested_title", { name })]
      : [t("follow"), undefined];
  return (
    <>
      <button
        type="button"
        className={following || requested ? "quiet" : "primary"}
        aria-pressed={following || requested}
        title={title}
        disabled={busy}
        onClick={() => void toggle()}
      >
        {label}
      </button>
      {failure !== null && <Trouble failure={failure} />}
    </>
  );
}
