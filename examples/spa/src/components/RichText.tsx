import { createElement, Fragment, type ReactNode } from "react";
import { Link } from "react-router";

import { siteOrigin } from "../api/http";

/** Elements that a note may consist of; of any other one only its text is shown. */
const KNOWN = new Set(["p", "br", "em", "strong", "code"]);

/**
 * HTML that the site made of somebody's words, rebuilt element by element. The site cleans it already; rebuilding it here
 * means that this page need not trust that, which is worth it where tokens are in reach of a script.
 */
export function RichText({ html }: { html: string }) {
  const body = new DOMParser().parseFromString(html, "text/html").body;
  return <div className="rich">{children(body)}</div>;
}

function children(node: Node): ReactNode[] {
  return [...node.childNodes].map((child, index) => <Fragment key={index}>{rebuilt(child)}</Fragment>);
}

function rebuilt(node: Node): ReactNode {
  if (!(node instanceof Element)) return node.nodeType === Node.TEXT_NODE ? node.textContent : null;
  const name = node.localName;
  if (name === "a") return anchor(node);
  if (name === "script" || name === "style") return null;
  if (!KNOWN.has(name)) return children(node);
  return name === "br" ? <br /> : createElement(name, null, ...children(node));
}

/** Links to people and tags of the site lead to our pages of them; others leave, and tell nobody where from. */
function anchor(node: Element): ReactNode {
  const url = URL.parse(node.getAttribute("href") ?? "");
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return children(node);
  const inside = url.origin === siteOrigin() ? ourPath(url.pathname) : null;
  if (inside !== null) return <Link to={inside}>{children(node)}</Link>;
  return (
    <a href={url.href} rel="noreferrer nofollow ugc" target="_blank">
      {children(node)}
    </a>
  );
}

function ourPath(path: string): string | null {
  const [, kind, name] = /^\/(@|tags\/)([^/]+)$/.exec(path) ?? [];
  if (kind === undefined || name === undefined) return null;
  return kind === "@" ? `/people/${name}` : `/tags/${name}`;
}
