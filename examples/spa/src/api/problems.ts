/** What can go wrong with a request, as data that the pages can show; from RFC 9457 problem documents where there is one. */
import { AxiosError, type AxiosResponse } from "axios";

import type { Problem } from "./generated";

export type Failure =
  /** The site said no, and why. */
  | ProblemFailure
  /** No answer: the network, the site, or a site that does not let this origin in. A script cannot tell which. */
  | { kind: "unreachable" }
  /** No answer in time. The site may have done what it was asked all the same. */
  | { kind: "timeout" }
  /** Something of our own. */
  | { kind: "bug"; message: string };

export interface ProblemFailure {
  kind: "problem";
  status: number;
  /** The last part of the problem's type: what a program may decide by. */
  code: string;
  title: string;
  /** What is wrong with single inputs, by their path in the body: `food`, `media/0/description`. */
  fields: ReadonlyMap<string, string>;
  /** Seconds to wait, if the site said so. */
  retryAfter: number | null;
  requestId: string | null;
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof AxiosError)) {
    return { kind: "bug", message: error instanceof Error ? error.message : String(error) };
  }
  if (error.response !== undefined) return problemFailure(error.response);
  return error.code === AxiosError.ECONNABORTED || error.code === AxiosError.ETIMEDOUT
    ? { kind: "timeout" }
    : { kind: "unreachable" };
}

/** True for an error that is the problem `status`. */
export function isProblem(error: unknown, status: number): boolean {
  return error instanceof AxiosError && error.response?.status === status;
}

/** True for an answer that refuses the access token only because its time is over. */
export function isExpiredToken(answer: AxiosResponse<unknown>): boolean {
  if (isProblemDocument(answer.data)) return codeOf(answer.data) === "token_expired";
  // A picture was asked for, so the document came as a Blob; the challenge (RFC 6750, section 3) says it too.
  return /error_description="token_expired"/.test(header(answer, "www-authenticate") ?? "");
}

/** A response header as text. A site that does not expose it to other origins gives none. */
export function header(answer: AxiosResponse<unknown>, name: string): string | null {
  const value: unknown = answer.headers[name];
  return typeof value === "string" ? value : null;
}

function problemFailure(answer: AxiosResponse<unknown>): ProblemFailure {
  const seconds = Number(header(answer, "retry-after") ?? NaN);
  const shared = {
    kind: "problem" as const,
    status: answer.status,
    retryAfter: Number.isFinite(seconds) ? Math.max(1, seconds) : null,
  };
  if (!isProblemDocument(answer.data)) {
    // Something between us and the site answered in its place.
    return { ...shared, code: "", title: `${answer.status} ${answer.statusText}`, fields: new Map(), requestId: null };
  }
  const problem = answer.data;
  const fields = new Map((problem.errors ?? []).map((error) => [pathOf(error.pointer ?? ""), error.detail]));
  return { ...shared, code: codeOf(problem), title: problem.title, fields, requestId: problem.request_id ?? null };
}

function codeOf(problem: Problem): string {
  return problem.type.slice(problem.type.lastIndexOf("/") + 1);
}

/** A JSON pointer as a URI fragment (RFC 6901, section 6) as a path: `#/media/0` is `media/0`. */
function pathOf(pointer: string): string {
  return decodeURIComponent(pointer.replace(/^#?\/?/, "")).replaceAll("~1", "/").replaceAll("~0", "~");
}

function isProblemDocument(data: unknown): data is Problem {
  return typeof data === "object" && data !== null && "type" in data && typeof data.type === "string" && "title" in data;
}
