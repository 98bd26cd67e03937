"""The JSON face, shared part: operations, checks, problems, CORS, conditional requests, page links, OpenAPI."""

from __future__ import annotations

from pyramid.config import Configurator

from mealshare.api.body import Form, Upload
from mealshare.api.deprecation import Deprecation
from mealshare.api.etag import check_not_modified, etag_of, require_match
from mealshare.api.links import Link
from mealshare.api.paging import PagedQuery, SortedQuery, page_headers
from mealshare.api.query import Query
from mealshare.api.reply import NO_ETAG, RawJson, Reply, require_current
from mealshare.api.routes import PathParam, id_param
from mealshare.api.view import api_view
from mealshare.core.i18n import _

__all__ = [
    "NO_ETAG", "Deprecation", "Form", "Link", "PagedQuery", "PathParam", "Query", "RawJson", "Reply", "SortedQuery",
    "Upload", "api_view", "check_not_modified", "etag_of", "id_param", "page_headers", "require_current",
    "require_match",
]  # fmt: skip

MESSAGES = {
    "bad_parameter": _("A parameter of the address has a wrong value."),
    "no_such_member": _("The answer has no member ${name}."),
}


def includeme(config: Configurator) -> None:
    """Install the directives, the problems, CORS, and the operations that the face itself has."""
    config.add_messages(MESSAGES)
    config.include("pyramid_chameleon")
    config.include("mealshare.api.routes")
    config.include("mealshare.api.deprecation")
    config.include("mealshare.api.openapi")
    config.include("mealshare.api.problems")
    config.include("mealshare.api.cors")
    config.include("mealshare.api.browse")
    config.include("mealshare.api.idempotency")
    config.include("mealshare.api.problem_views")
    config.include("mealshare.api.instance")
    config.include("mealshare.api.index")
    config.include("mealshare.api.batch")
    config.include("mealshare.api.docs")
    config.scan("mealshare.api.instance")
    config.scan("mealshare.api.index")
    config.scan("mealshare.api.batch")
    config.scan("mealshare.api.docs")
