import { useEffect, useRef, type RefObject } from "react";

import type { Failure } from "../api/problems";

/** For a form: the first input that is wrong gets the focus, so that it is seen and read out. */
export function useFocusOnWrong(failure: Failure | null): RefObject<HTMLFormElement | null> {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (failure !== null) form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [failure]);
  return form;
}
