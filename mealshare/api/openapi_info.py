"""The prose of the OpenAPI document: what holds for every operation, and what the groups of operations are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pyramid.config import Configurator
from pyramid.registry import Registry

from mealshare.api.body import MAX_JSON_BYTES
from mealshare.api.deprecation import CHANGES
from mealshare.core.db.keyset import DEFAULT_LIMIT, MAX_LIMIT, MAX_SKIP
from mealshare.core.security import SiteSettings
from mealshare.core.settings import settings_of
from mealshare.core.version import __version__

_DESCRIPTION = f"""\
Everything that the pages of this site do can be done here too: post what you ate, read what others eat, follow,
comment, search. The addresses carry no version; what will go away is marked as deprecated long before.

## Authentication

Reading what is public needs no account. For the rest there are two ways, and each operation says which it takes:

- **A bearer token**, for applications and scripts: `Authorization: Bearer …`. `POST /api/login` gives an access token
  for 15 minutes, and a refresh token that `POST /api/token/refresh` changes for the next pair, once. A token has
  *scopes*; the one that an operation needs stands in its description and in its security requirement. A token that does
  not count is 401 everywhere, and never falls back to a cookie.
- **The session cookie** of the browser, for the site's own pages. What changes something also needs the header
  `X-CSRF-Token`, with the value that the forms of every page hold as `csrf_token`.

## Methods

`GET` reads, `POST` makes or does something, `PUT` replaces or switches on, `PATCH` changes (a JSON merge patch,
RFC 7396: absent members stay, `null` puts a default back), `DELETE` removes or switches off. `PUT` and `DELETE` may be
repeated without harm. Two methods are not listed because every address has them: `HEAD` answers what `GET` would, without
the body, wherever there is a `GET`; `OPTIONS` answers 204 with the methods of the address in `Allow`. Any other
method is 405, with `Allow`.

## Paging

Lists are JSON arrays, newest first, {DEFAULT_LIMIT} elements or `limit` of them (at most {MAX_LIMIT}). The addresses of the
neighbouring pages stand in the `Link` header (RFC 8288): follow `rel="next"` until there is none. They page by id
(`max_id`, `min_id`), so nothing comes twice or is left out while others post. `skip` (at most {MAX_SKIP:,}) is there for those
who need page numbers. Filters are combined with *and*. A parameter that an operation does not have is an error.

## Errors

Every error is a problem document (RFC 9457, `application/problem+json`). `type` names the kind of problem, and is what
a program should look at; `title` and `detail` are for people, in the language of the account or of `Accept-Language`.
Where single inputs are wrong, `errors` has one element for each, with a JSON pointer into the body or the name of the
query parameter. A wrong query is 400, a body that can be read but not accepted is 422. What you may not see is 404, as
if it did not exist.

## Conditional requests

Every `GET` answers with an `ETag`; sent back as `If-None-Match` it makes an unchanged answer 304, without a body. Where
an operation takes `If-Match`, it acts only on the state that you have seen, and is 412 otherwise: nobody overwrites
what somebody else has just changed.

## Idempotency

A `POST`, `PUT` or `PATCH` with an `Idempotency-Key` (any unique text, such as a UUID) may be sent again after a broken
connection: within 24 hours the same request with the same key is done once, and the first answer is repeated.

## Limits

Every answer tells the rate limit that it counted against: `X-RateLimit-Limit`, `X-RateLimit-Remaining` and
`X-RateLimit-Reset` (seconds since 1970). Beyond it the answer is 429 with `Retry-After` in seconds. A JSON body may have
{MAX_JSON_BYTES // 1024 // 1024} MiB; `GET /api/instance` tells the limits of this site, for pictures too.

## Values

Ids are strings: JavaScript's numbers cannot hold them. Times are RFC 3339, days are dates without a time. Text is
Unicode, and is cleaned: control characters and the spaces around it go. Unknown members of a body are an error.
This document tells exactly what this version answers; a later one may answer more, so ignore what you do not know.
"""


def info(registry: Registry) -> dict[str, Any]:
    """The ``info`` object."""
    site = settings_of(registry, SiteSettings)
    return {
        "title": f"{site.name} API",
        "version": __version__,
        "summary": "Post what you ate, and see what other people are eating.",
        "description": _DESCRIPTION,
        "contact": {"name": f"The people behind {site.name}", "url": registry["base_url"]},
        "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
    }


def external_docs(registry: Registry) -> dict[str, str]:
    """Where to read on."""
    return {"description": "Quick start, guides and the change log", "url": f"{registry['base_url']}{CHANGES}"}


def tags(registry: Registry, used: Iterable[str]) -> list[dict[str, str]]:
    """The tags ``used``, in the order in which the features described them; then those that nobody described."""
    described: Mapping[str, str] = registry["api_tags"]
    wanted = set(used)
    return [
        *({"name": name, "description": text} for name, text in described.items() if name in wanted),
        *({"name": name} for name in sorted(wanted - described.keys())),
    ]


def _add_api_tags(config: Configurator, tags: Mapping[str, str]) -> None:
    """Directive ``config.add_api_tags({name: description})``: a feature's groups of operations, in their order."""
    for name, description in tags.items():
        if name in config.registry["api_tags"]:
            raise ValueError(f"the tag {name} is described already")
        config.registry["api_tags"][name] = description


def includeme(config: Configurator) -> None:
    """Add the directive."""
    config.registry["api_tags"] = {}
    config.add_directive("add_api_tags", _add_api_tags, action_wrap=False)
