/**
 * The language of the account. The site speaks it to whoever is signed in, whatever `Accept-Language` says, so the
 * application takes it over at signing in, and tells the site of another choice.
 */
import { chooseLanguage, type Language } from "../words";
import { changeProfile, showProfile } from "./generated";
import { currentUser } from "./session";

/** What the site calls our languages. */
export const LOCALES: Record<Language, "en" | "zh_CN"> = { en: "en", "zh-CN": "zh_CN" };

/** Speak the account's language from now on, if it has chosen one and we speak it. */
export async function adoptLanguage(): Promise<void> {
  const { data } = await showProfile();
  for (const [language, locale] of Object.entries(LOCALES) as [Language, string][]) {
    if (locale === data.locale) chooseLanguage(language);
  }
}

/** Speak `wanted`, here and wherever else the account is signed in. */
export async function changeLanguage(wanted: Language): Promise<void> {
  chooseLanguage(wanted);
  if (currentUser() !== null) await changeProfile({ body: { locale: LOCALES[wanted] } });
}
