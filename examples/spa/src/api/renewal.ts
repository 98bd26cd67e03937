/**
 * New tokens for old. A refresh token may be used once: a second use looks like theft to the site, which then ends the
 * whole sign-in. So however many requests find that the access token has run out, they all wait for one exchange.
 */
import { refresh } from "./generated";
import { plain } from "./plain";
import { failureOf } from "./problems";
import { endSession, refreshToken, replaceTokens } from "./session";

let running: Promise<void> | null = null;

/** Get new tokens, or wait for those that are on their way. Rejects when there are none to be had. */
export function renew(): Promise<void> {
  running ??= exchange().finally(() => {
    running = null;
  });
  return running;
}

/** Resolves when no exchange is running, however it went. */
export async function renewalSettled(): Promise<void> {
  await running?.catch(() => undefined);
}

async function exchange(): Promise<void> {
  const used = refreshToken();
  if (used === null) return;
  try {
    const { data } = await refresh({ client: plain, body: { refresh_token: used } });
    replaceTokens(used, data);
  } catch (error) {
    const failure = failureOf(error);
    // The site does not take it any more. A site that cannot be reached, or is busy, says nothing about the token.
    if (failure.kind === "problem" && failure.status === 401 && refreshToken() === used) endSession("ended");
    throw error;
  }
}
