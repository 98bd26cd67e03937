"""``GET /api/instance``: what a client should know of this site before it does anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field
from pyramid.config import Configurator
from pyramid.request import Request

from mealshare.api.body import MAX_JSON_BYTES
from mealshare.api.values import Address
from mealshare.api.view import api_view
from mealshare.core.db.keyset import MAX_LIMIT, MAX_SKIP
from mealshare.core.i18n import LOCALES, _, to_bcp47
from mealshare.core.security import SiteSettings
from mealshare.core.security.permissions import CorePermission
from mealshare.core.settings import settings_of
from mealshare.core.version import __version__

DESCRIPTION = _("A social network that tells the whole internet what you ate.")


@dataclass
class InstanceOut:
    """A site: what it is called, and what it takes."""

    name: Annotated[str, Field(description="The site's name.", examples=["MealShare"])]
    version: Annotated[str, Field(description="The version of the software.", examples=["0.1.0"])]
    description: Annotated[
        str, Field(description="What the site is, in the reader's language.", examples=[str(DESCRIPTION)])
    ]
    url: Annotated[Address, Field(description="Where people reach it.", examples=["https://meals.example"])]
    languages: Annotated[
        list[str], Field(description="Language tags (BCP 47) that it speaks.", examples=[["en", "zh-Hans"]])
    ]
    registration: Annotated[Literal["open", "closed"], Field(description="Whether new people may sign up.")]
    limits: Annotated[
        dict[str, Any],
        Field(
            description="How much of what is accepted.",
            examples=[{"json_bytes": MAX_JSON_BYTES, "page_limit": MAX_LIMIT}],
        ),
    ]


@api_view(
    route_name="api.instance",
    permission=CorePermission.PUBLIC,
    returns=InstanceOut,
    summary="Show what this site is",
    description="Name, version, languages, whether one may sign up, and the limits to keep to: what a client should ask "
    "first. The description is in the reader's language.",
    tags=("instance",),
)
def instance(context: Any, request: Request) -> InstanceOut:
    """The site and its limits."""
    registry = request.registry
    site = settings_of(registry, SiteSettings)
    return InstanceOut(
        name=site.name,
        version=__version__,
        description=request.translate(DESCRIPTION),
        url=registry["base_url"],
        languages=[to_bcp47(locale) for locale in LOCALES],
        registration="open" if site.registration == "open" else "closed",
        limits=registry["instance_limits"],
    )


def _add_instance_info(config: Configurator, name: str, value: Any) -> None:
    """Directive ``config.add_instance_info(name, value)``: a feature tells one of its limits; a name is given once."""
    limits = config.registry["instance_limits"]
    if name in limits:
        raise ValueError(f"the limit {name} is told already")
    limits[name] = value


def includeme(config: Configurator) -> None:
    """Add the directive and the route."""
    config.registry["instance_limits"] = {"json_bytes": MAX_JSON_BYTES, "page_limit": MAX_LIMIT, "page_skip": MAX_SKIP}
    config.add_directive("add_instance_info", _add_instance_info, action_wrap=False)
    config.add_api_tags({"instance": "This site: its name, its languages, its limits."})
    config.add_api_route("api.instance", "/api/instance")
