import { useWords } from "../words";

/** Something is on its way. */
export function Busy() {
  const { t } = useWords();
  return (
    <p role="status" className="busy">
      <span className="busy-dot" aria-hidden="true" />
      {t("loading")}
    </p>
  );
}
