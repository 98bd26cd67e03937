/** Signing in and out. */
import { language } from "../words";
import { login, logout, register } from "./generated";
import { adoptLanguage, LOCALES } from "./language";
import { plain } from "./plain";
import { endSession, startSession } from "./session";

/** Rejects with the problem `bad_credentials` (401), `account_suspended` and others. */
export async function logIn(name: string, password: string): Promise<void> {
  const who = name.includes("@") ? { email: name } : { username: name };
  const { data } = await login({ client: plain, body: { ...who, password } });
  startSession(data.user, data);
  // Of no weight: without it the titles of problems may come in another language than the rest.
  void adoptLanguage().catch(() => undefined);
}

export interface Registration {
  username: string;
  email: string;
  password: string;
}

/** Make an account and log in. Rejects with the problem `invalid` (422), whose fields have the names of ours. */
export async function signUp(person: Registration): Promise<void> {
  const time_zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  await register({ client: plain, body: { ...person, time_zone, locale: LOCALES[language()] } });
  await logIn(person.username, person.password);
}

/** End the sign-in on the site and forget it here. It is forgotten here even if the site cannot be reached. */
export async function logOut(): Promise<void> {
  try {
    await logout();
  } catch {
    // The tokens are gone from this page; the access token runs out by itself.
  } finally {
    endSession("logout");
  }
}
