import { useCallback } from "react";
import { useLocation, useNavigate } from "react-router";

/** The login page that leads back to `from`, a path of this application. */
export function loginPath(from: string): string {
  return `/login?next=${encodeURIComponent(from)}`;
}

/**
 * Where to go after logging in. Only a path of this application is taken, because anybody can write a link: `//x` and
 * `/\x` are other sites to a browser.
 */
export function nextPath(search: URLSearchParams): string {
  const next = search.get("next") ?? "/";
  return /^\/(?![/\\])[^\p{Cc}]*$/u.test(next) ? next : "/";
}

/** Leads to the login page, and from there back to this one. */
export function useLogin(): () => void {
  const navigate = useNavigate();
  const { pathname, search } = useLocation();
  return useCallback(() => void navigate(loginPath(pathname + search)), [navigate, pathname, search]);
}
