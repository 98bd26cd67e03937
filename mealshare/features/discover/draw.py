"""What should I eat?  A draw, with the same chance for each source and then for each meal of it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from pyramid.request import Request

from mealshare.core.clock import now
from mealshare.core.dates import eaten_on
from mealshare.features.discover.queries import Candidate, candidates
from mealshare.features.discover.schemas import DrawQuery
from mealshare.features.discover.vocabulary import DrawSource
from mealshare.features.meals.cards import Card
from mealshare.features.meals.queries import card_by_id, filter_conditions
from mealshare.features.meals.resources import viewer_of


def draw(request: Request, query: DrawQuery, *, but: int = 0) -> tuple[DrawSource, Card] | None:
    """A meal for the one who asks, and where it comes from; None where nothing fits.  Two statements.

    ``but`` is the meal that was drawn before and is not to come again, unless it is the only one.
    """
    viewer, identity = viewer_of(request), request.identity
    zone = identity.time_zone if identity else "UTC"
    conditions = filter_conditions(
        meal_type=query.meal_type, diets=query.diet, without=query.without, tag=None, place=query.place, since=None,
        until=None, photo=None,
    )  # fmt: skip
    found = candidates(request.conn, viewer, eaten_on(now(), zone), only=query.source, conditions=conditions)
    chosen = choose([item for item in found if item.id != but] or found)
    card = None if chosen is None else card_by_id(request.conn, chosen.id, viewer)
    return None if chosen is None or card is None else (chosen.source, card)


def choose(found: Sequence[Candidate]) -> Candidate | None:
    """One of them: first a source, then a meal of it; everybody's only where nobody nearer has anything."""
    sources = sorted({item.source for item in found})
    if len(sources) > 1 and DrawSource.PUBLIC in sources:
        sources.remove(DrawSource.PUBLIC)
    if not sources:
        return None
    source = secrets.choice(sources)
    return secrets.choice([item for item in found if item.source == source])
