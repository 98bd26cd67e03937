/**
 * Who is signed in: both tokens, in the memory of this page and nowhere else. A token in localStorage or sessionStorage
 * can be read by any script that ever gets into the page, and taken away; one in a closure cannot be taken after the
 * page is closed. The price is that a reload signs out. README.md tells of the alternatives.
 */
import { useSyncExternalStore } from "react";

import type { User } from "./generated";

export interface Tokens {
  access_token: string;
  refresh_token: string;
}

/** Why there is no session any more: the person wished it, the site ended it, or something needs one. */
export type EndReason = "logout" | "ended" | "required";

interface Session {
  user: User;
  tokens: Tokens;
}

let session: Session | null = null;
const listeners = new Set<() => void>();
const endListeners = new Set<(reason: EndReason) => void>();

export function accessToken(): string | null {
  return session?.tokens.access_token ?? null;
}

export function refreshToken(): string | null {
  return session?.tokens.refresh_token ?? null;
}

export function currentUser(): User | null {
  return session?.user ?? null;
}

export function startSession(user: User, tokens: Tokens): void {
  session = { user, tokens };
  tell();
}

/** New tokens for the session that had `used`; without effect when that one has ended in the meantime. */
export function replaceTokens(used: string, tokens: Tokens): void {
  if (session?.tokens.refresh_token === used) session = { ...session, tokens };
}

/** Forget the tokens, and tell whoever has to show it. */
export function endSession(reason: EndReason): void {
  const had = session !== null;
  session = null;
  if (had) tell();
  for (const listener of endListeners) listener(reason);
}

/** `listener` is called for every session that ends, and for every request that lacks one. */
export function onSessionEnd(listener: (reason: EndReason) => void): void {
  endListeners.add(listener);
}

export function subscribeSession(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The person who is signed in, or null. */
export function useUser(): User | null {
  return useSyncExternalStore(subscribeSession, currentUser);
}

function tell(): void {
  for (const listener of listeners) listener();
}
