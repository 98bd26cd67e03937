"""Timelines: the front page, a person's meals, a tag's meals."""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.features.accounts.resources import Users
from mealshare.features.timelines.resources import Tags


def includeme(config: Configurator) -> None:
    """Wire the feature."""
    config.add_route("front", "/")
    config.add_route("person", "/@{username}", factory=Users, traverse="/{username}")
    config.add_route("tag", "/tags/{tag}", factory=Tags, traverse="/{tag}")
    config.add_api_route("api.feed.public", "/api/feed/public")
    config.add_api_route("api.feed.tag", "/api/feed/tags/{tag}", factory=Tags, traverse="/{tag}")
    config.scan(".web")
    config.scan(".api")
