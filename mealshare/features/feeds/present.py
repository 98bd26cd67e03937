"""How feeds, embeds and the site map are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape as xml_escape

import orjson
from markupsafe import Markup

from mealshare.core.dates import rfc3339
from mealshare.features.feeds.factory import size_within
from mealshare.features.feeds.queries import Address
from mealshare.features.feeds.schemas import Author, EmbedQuery, Feed, FeedItem, Preview
from mealshare.features.feeds.vocabulary import ATOM, JSON_FEED, MAX_AGE
from mealshare.features.media.images import VARIANT_EDGES

_SITE_MAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
#: The width of an embed that is given all the room it wants.
EMBED_WIDTH = 550


def atom(feed: Feed) -> bytes:
    """The feed as Atom (RFC 4287)."""
    # Names without prefixes: ElementTree would make prefixes of its own for the namespace.
    root = ET.Element("feed", {"xmlns": "http://www.w3.org/2005/Atom", "xml:lang": feed.language})
    _add(root, "id", feed.id)
    _add(root, "title", feed.title)
    if feed.subtitle:
        _add(root, "subtitle", feed.subtitle)
    _add(root, "updated", rfc3339(feed.updated))
    _add(root, "link", rel="self", type=ATOM, href=feed.address("atom"))
    _add(root, "link", rel="alternate", type="text/html", href=feed.url)
    _add(root, "link", rel="alternate", type=JSON_FEED, href=feed.address("json"))
    _add(root, "icon", feed.icon)
    if feed.author:
        _add_author(root, feed.author)
    elif not feed.items:
        # Section 4.1.1: a feed without entries needs one of its own; otherwise each entry has its own.
        _add_author(root, Author(feed.title, feed.url, None))
    for item in feed.items:
        _add_entry(root, item)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def _add_entry(root: ET.Element, item: FeedItem) -> None:
    entry = _add(root, "entry", **({"xml:lang": item.language} if item.language else {}))
    _add(entry, "id", item.id)
    _add(entry, "title", item.title)
    _add(entry, "published", rfc3339(item.published))
    _add(entry, "updated", rfc3339(item.updated))
    _add(entry, "link", rel="alternate", type="text/html", href=item.url)
    _add_author(entry, item.author)
    for tag in item.tags:
        _add(entry, "category", term=tag, label=f"#{tag}")
    for picture in item.pictures:
        known = {"length": str(picture.length)} if picture.length is not None else {}
        known |= {"title": picture.description} if picture.description else {}
        _add(entry, "link", rel="enclosure", type=picture.type, href=picture.url, **known)
    if item.summary:
        _add(entry, "summary", item.summary)
    if item.html:
        _add(entry, "content", item.html, type="html")


def _add_author(parent: ET.Element, author: Author) -> None:
    element = _add(parent, "author")
    _add(element, "name", author.name)
    _add(element, "uri", author.url)


def _add(parent: ET.Element, tag: str, words: str | None = None, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = words
    return element


def json_feed(feed: Feed) -> bytes:
    """The feed as JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/)."""
    return orjson.dumps(
        _known(
            {
                "version": "https://jsonfeed.org/version/1.1",
                "title": feed.title,
                "description": feed.subtitle,
                "home_page_url": feed.url,
                "feed_url": feed.address("json"),
                "icon": feed.icon,
                "language": feed.language,
                "authors": [_json_author(feed.author)] if feed.author else None,
            }
        )
        | {"items": [_json_item(item) for item in feed.items]}
    )


def _json_item(item: FeedItem) -> dict[str, Any]:
    attachments = [
        _known(
            {
                "url": picture.url,
                "mime_type": picture.type,
                "title": picture.description,
                "size_in_bytes": picture.length,
            }
        )
        for picture in item.pictures
    ]
    return _known(
        {
            "id": item.id,
            "url": item.url,
            "title": item.title,
            # One of the two has to be there.
            "content_html": item.html,
            "content_text": "" if item.html else item.summary,
            "summary": item.summary,
            "image": item.pictures[0].url if item.pictures else None,
            "date_published": rfc3339(item.published),
            "date_modified": rfc3339(item.updated),
            "authors": [_json_author(item.author)],
            "tags": list(item.tags),
            "language": item.language,
            "attachments": attachments,
        }
    )


def _json_author(author: Author) -> dict[str, Any]:
    return _known({"name": author.name, "url": author.url, "avatar": author.avatar_url})


def _known(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", [])}


# --- oEmbed ---


def embed(preview: Preview, author: Author, site: str, base_url: str, query: EmbedQuery) -> dict[str, Any]:
    """The meal for other sites (https://oembed.com, "rich"): a quotation with a link, which loads and runs nothing."""
    words = Markup("<p>{}</p>").format(preview.description) if preview.description else ""
    html = Markup('<blockquote cite="{url}">{words}<p><a href="{url}">{title}</a> · {site}</p></blockquote>')
    return {
        "version": "1.0",
        "type": "rich",
        "title": preview.title,
        "author_name": author.name,
        "author_url": author.url,
        "provider_name": site,
        "provider_url": f"{base_url}/",
        "cache_age": MAX_AGE,
        "html": html.format(url=preview.url, words=words, title=preview.title, site=site),
        "width": min(EMBED_WIDTH, query.maxwidth or EMBED_WIDTH),
        # As high as its words are.
        "height": None,
        **_thumbnail(preview, query),
    }


def _thumbnail(preview: Preview, query: EmbedQuery) -> dict[str, Any]:
    """The largest variant of the first picture that fits into the room that there is; none of its members, if none."""
    picture = preview.picture
    if picture is None:
        return {}
    for edge in sorted(VARIANT_EDGES, reverse=True):
        width, height = size_within(picture.width, picture.height, edge)
        if width is None or height is None:
            continue
        if width <= (query.maxwidth or width) and height <= (query.maxheight or height):
            url = picture.url.replace(f"/{max(VARIANT_EDGES)}.", f"/{edge}.")
            return {"thumbnail_url": url, "thumbnail_width": width, "thumbnail_height": height}
    return {}


# --- The site map ---


def site_map_index(urls: Sequence[str]) -> bytes:
    """An index of site maps (https://www.sitemaps.org/protocol.html)."""
    return _site_map("sitemapindex", [f"<sitemap><loc>{xml_escape(url)}</loc></sitemap>" for url in urls])


def site_map(addresses: Sequence[Address]) -> bytes:
    """A site map.  There may be tens of thousands of addresses, so it is joined from strings."""
    return _site_map("urlset", map(_url, addresses))


def _url(address: Address) -> str:
    changed = "" if address.changed is None else f"<lastmod>{rfc3339(address.changed)}</lastmod>"
    return f"<url><loc>{xml_escape(address.url)}</loc>{changed}</url>"


def _site_map(element: str, lines: Any) -> bytes:
    body = "\n".join(lines)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{element} xmlns="{_SITE_MAP}">\n{body}\n</{element}>\n'.encode()
