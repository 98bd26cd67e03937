/** The client for everything else: it adds the access token, and gets a new one when that has run out. */
import axios, { AxiosError, type InternalAxiosRequestConfig } from "axios";

import { client } from "./generated/client.gen";
import { plain, speak, TIMEOUT } from "./plain";
import { isExpiredToken } from "./problems";
import { renew, renewalSettled } from "./renewal";
import { accessToken, endSession } from "./session";

declare module "axios" {
  interface AxiosRequestConfig {
    /** It has been made again with a new token, and is not made a third time. */
    repeated?: boolean;
  }
}

export const http = axios.create({ timeout: TIMEOUT });
// Axios runs the interceptors of requests from the last one to the first.
http.interceptors.request.use(authorize);
http.interceptors.request.use(speak);
http.interceptors.response.use(undefined, repeatWithNewToken);

/** Say once where the site is. */
export function connect(site: string): void {
  client.setConfig({ axios: http, baseURL: site });
  plain.setConfig({ baseURL: site });
}

/** The origin of the site. */
export function siteOrigin(): string {
  return client.getConfig().baseURL ?? "";
}

/**
 * An address that the site named, as one on the site itself: requests of `http` carry the token, so whatever a header or
 * a document says, they go nowhere else.
 */
export function onSite(address: string): string {
  const { pathname, search } = new URL(address, siteOrigin());
  return siteOrigin() + pathname + search;
}

async function authorize(config: InternalAxiosRequestConfig): Promise<InternalAxiosRequestConfig> {
  // While new tokens are on their way, the old one would only be refused.
  await renewalSettled();
  const token = accessToken();
  if (token !== null) config.headers.set("Authorization", bearer(token));
  else config.headers.delete("Authorization");
  return config;
}

async function repeatWithNewToken(error: unknown): Promise<unknown> {
  if (!(error instanceof AxiosError) || error.response?.status !== 401 || error.config === undefined) throw error;
  const request = error.config;
  const sent = request.headers.get("Authorization");
  if (!sent) {
    // What was asked for needs an account, and nobody is signed in here (any more).
    endSession("required");
    throw error;
  }
  if (!isExpiredToken(error.response) || request.repeated) {
    if (isCurrent(sent)) endSession("ended");
    throw error;
  }
  // Another request may have brought new tokens since this one was sent.
  if (isCurrent(sent)) await renew();
  return http.request({ ...request, repeated: true });
}

function isCurrent(sent: unknown): boolean {
  const token = accessToken();
  return token !== null && sent === bearer(token);
}

function bearer(token: string): string {
  return `Bearer ${token}`;
}
