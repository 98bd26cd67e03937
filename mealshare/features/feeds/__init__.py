"""Telling the rest of the internet: feeds, previews, embeds, the site map, and what other applications share."""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.core.i18n import _
from mealshare.features.feeds import html
from mealshare.features.feeds.resources import Embeds, PublicTags, PublicUsers


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_problems({"only_json": (501, _("This is answered in JSON only."))})
    for format in ("atom", "json"):
        config.add_route(f"feed.{format}", f"/feed.{format}")
        person, tag = f"/@{{username}}/feed.{format}", f"/tags/{{tag}}/feed.{format}"
        config.add_route(f"person.feed.{format}", person, factory=PublicUsers, traverse="/{username}")
        config.add_route(f"tag.feed.{format}", tag, factory=PublicTags, traverse="/{tag}")
    config.add_route("oembed", "/oembed", factory=Embeds)
    config.add_route("sitemap", "/sitemap.xml")
    config.add_route("sitemap.part", "/sitemap-{kind:pages|people|tags|meals}-{number:[0-9]{1,7}}.xml")
    config.add_route("share", "/share")
    config.add_route("diary.own", "/diary")
    config.add_meal_head(html.meal_head)
    config.add_slot("front.head", html.HEAD, html.front_head)
    config.add_slot("person.head", html.HEAD, html.person_head)
    config.add_slot("tag.head", html.HEAD, html.tag_head)
    config.scan(".web")
