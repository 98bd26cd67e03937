/** The words of the application in the reader's language: a dictionary each, and `Intl` for numbers, dates and lists. */
import { useSyncExternalStore } from "react";

import { en } from "./en";
import { zh } from "./zh";

export type Language = "en" | "zh-CN";
export type Word = keyof typeof en;
/** Words that come in one form for each kind of number. */
type Counted = Word extends infer W ? (W extends `${infer Stem}_other` ? Stem : never) : never;
type Values = Record<string, string | number>;

/** Each language with its own name, as whoever looks for it would write it. */
export const LANGUAGES: Record<Language, string> = { en: "English", "zh-CN": "中文" };
const DICTIONARIES: Record<Language, Record<Word, string>> = { en, "zh-CN": zh };
/** Where the choice is kept; it is nothing that anybody could misuse. */
const KEY = "mealshare.language";

let current: Language = chosen() ?? preferred();
const listeners = new Set<() => void>();
document.documentElement.lang = current;

/** The language that the reader has now, as `Accept-Language` writes it. */
export function language(): Language {
  return current;
}

export function chooseLanguage(wanted: Language): void {
  current = wanted;
  document.documentElement.lang = wanted;
  localStorage.setItem(KEY, wanted);
  for (const listener of listeners) listener();
}

/** Everything that speaks, in the reader's language; a component that uses it is drawn again when that changes. */
export function useWords(): Words {
  return WORDS[useSyncExternalStore(subscribe, language)];
}

export class Words {
  readonly language: Language;

  constructor(which: Language) {
    this.language = which;
  }

  /** The word, with `{name}` filled in from `values`. */
  readonly t = (word: Word, values: Values = {}): string => {
    return DICTIONARIES[this.language][word].replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
  };

  /** How many there are: "1 meal", "1,024 meals". */
  readonly count = (stem: Counted, n: number): string => {
    const one = new Intl.PluralRules(this.language).select(n) === "one";
    return this.t(one ? `${stem}_one` : `${stem}_other`, { n: n.toLocaleString(this.language) });
  };

  /** "a, b and c". */
  readonly list = (items: string[]): string => new Intl.ListFormat(this.language).format(items);

  readonly dateTime = (iso: string): string => {
    return new Intl.DateTimeFormat(this.language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso));
  };

  readonly month = (iso: string): string => {
    return new Intl.DateTimeFormat(this.language, { year: "numeric", month: "long" }).format(new Date(iso));
  };

  /** How long ago: "5 minutes ago", after a week the date. */
  readonly ago = (iso: string): string => {
    const seconds = Math.min(0, (Date.parse(iso) - Date.now()) / 1000);
    const relative = new Intl.RelativeTimeFormat(this.language, { numeric: "auto" });
    for (const [unit, size, end] of UNITS) {
      if (-seconds < end) return relative.format(Math.trunc(seconds / size), unit);
    }
    return new Intl.DateTimeFormat(this.language, { dateStyle: "medium" }).format(new Date(iso));
  };
}

/** A unit of time, its seconds, and the number of seconds from which on the next one is used. */
const UNITS: [Intl.RelativeTimeFormatUnit, number, number][] = [
  ["second", 60, 60],
  ["minute", 60, 3600],
  ["hour", 3600, 86_400],
  ["day", 86_400, 604_800],
];
const WORDS: Record<Language, Words> = { en: new Words("en"), "zh-CN": new Words("zh-CN") };

function chosen(): Language | null {
  const kept = localStorage.getItem(KEY);
  return kept === "en" || kept === "zh-CN" ? kept : null;
}

/** The first of the browser's languages that we speak. */
function preferred(): Language {
  for (const tag of navigator.languages) {
    if (tag.startsWith("zh")) return "zh-CN";
    if (tag.startsWith("en")) return "en";
  }
  return "en";
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
