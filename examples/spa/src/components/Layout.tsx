import { useEffect, useRef } from "react";
import { Link, NavLink, Outlet, ScrollRestoration, useLocation, useNavigate, useNavigation } from "react-router";

import { siteOrigin } from "../api/http";
import { changeLanguage } from "../api/language";
import { useUser } from "../api/session";
import { logOut } from "../api/signin";
import { LANGUAGES, useWords, type Language } from "../words";
import { Avatar } from "./Avatar";
import { Icon } from "./Icon";
import { useLogin } from "./useLogin";

/** What stands around every page. */
export function Layout() {
  const { t } = useWords();
  const main = useRef<HTMLElement>(null);
  const { state } = useNavigation();
  useFocusOnArrival(main);
  return (
    <>
      <a href="#main" className="skip">
        {t("skip")}
      </a>
      <TopBar />
      <main id="main" ref={main} tabIndex={-1} aria-busy={state === "loading"}>
        <Outlet />
      </main>
      <BottomBar />
      <ScrollRestoration />
    </>
  );
}

function TopBar() {
  const { t } = useWords();
  const user = useUser();
  const navigate = useNavigate();
  const toLogin = useLogin();
  return (
    <header className="bar">
      <Link to="/" className="brand" aria-label={t("app")}>
        <img src="/icon.svg" alt="" width="32" height="32" />
        <span>{t("app")}</span>
      </Link>
      {user === null ? (
        <button type="button" className="quiet" onClick={toLogin}>
          {t("log_in")}
        </button>
      ) : (
        <>
          <Link to={`/people/${user.username}`} className="bar-name" aria-label={user.display_name}>
            <Avatar user={user} /> <span className="wide">{user.display_name}</span>
          </Link>
          <button type="button" className="quiet" onClick={() => void logOut().then(() => navigate("/"))}>
            {t("log_out")}
          </button>
        </>
      )}
      <NavLink to="/new" className="button primary" aria-label={t("post_meal")}>
        <Icon name="plus" /> <span className="wide">{t("post_meal")}</span>
      </NavLink>
    </header>
  );
}

function BottomBar() {
  const { t, language } = useWords();
  const site = siteOrigin();
  return (
    <footer className="foot">
      <a href={site} rel="noreferrer">
        {t("source", { site: new URL(site).host })}
      </a>
      <span className="languages">
        {(Object.keys(LANGUAGES) as Language[]).map((one) => (
          <button
            key={one}
            type="button"
            lang={one}
            aria-pressed={one === language}
            onClick={() => void changeLanguage(one).catch(() => undefined)}
          >
            {LANGUAGES[one]}
          </button>
        ))}
      </span>
    </footer>
  );
}

/** A new page is heard of: the focus goes to its content, as it would after loading a page of the web. */
function useFocusOnArrival(main: React.RefObject<HTMLElement | null>): void {
  const { pathname } = useLocation();
  const last = useRef(pathname);
  useEffect(() => {
    if (last.current === pathname) return;
    last.current = pathname;
    // A form may have taken it already.
    if (!main.current?.contains(document.activeElement)) main.current?.focus({ preventScroll: true });
  }, [main, pathname]);
}
