/**
 * Keeps "5 minutes ago" true while a page stays open. It changes <time datetime data-relative> once a minute, in the
 * document's language, for moments from one minute to seven days ago; for younger and older ones the server's words stay.
 */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Starts the clock. The words the server sent are right at first, so the first change comes after a minute. */
export function start() {
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "always" });
  setInterval(() => refresh(words, Date.now()), MINUTE);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") refresh(words, Date.now());
  });
}

function refresh(words, now) {
  for (const time of document.querySelectorAll("time[data-relative]")) {
    const text = ago(words, now - Date.parse(time.dateTime));
    if (text !== null && text !== time.textContent) time.textContent = text;
  }
}

/** Words for an age in milliseconds, in whole units rounded down; null where the server's own words should stay. */
export function ago(words, age) {
  if (!(age >= MINUTE && age < 7 * DAY)) return null;
  if (age < HOUR) return words.format(-Math.floor(age / MINUTE), "minute");
  if (age < DAY) return words.format(-Math.floor(age / HOUR), "hour");
  return words.format(-Math.floor(age / DAY), "day");
}
