/** The client for what happens without a token: logging in, registering, and getting new tokens. */
import axios, { type InternalAxiosRequestConfig } from "axios";

import { language } from "../words";
import { createClient, type Client } from "./generated/client";

/** Longer than the slowest answer of a healthy site; after that the person should hear that something is wrong. */
export const TIMEOUT = 20_000;

const withoutToken = axios.create({ timeout: TIMEOUT });
withoutToken.interceptors.request.use(speak);

export const plain: Client = createClient({ axios: withoutToken, throwOnError: true });

/** The answer, the titles of problems above all, in the language that the person reads here. */
export function speak(config: InternalAxiosRequestConfig): InternalAxiosRequestConfig {
  config.headers.set("Accept-Language", language());
  return config;
}
