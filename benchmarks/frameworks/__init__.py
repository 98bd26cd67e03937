"""The same endpoints in other frameworks, over the same database: what MealShare is measured against.

Each module ``NAME_app`` has ``make_app(url)``, which gives the application, and ``KIND``: "wsgi", "asgi" or "calls" (plain
functions, no server).  They are written as somebody who knows the framework would: related rows in the same statement or
in one more, never one for each meal; pages by keyset; schemas at the border; one transaction for a change.

They do less than MealShare does, never more: no rate limits, no revocation of tokens, no blocks and mutes, no language,
no security headers, no entity tags, and of a meal only the members that `benchmarks.contract` lists.
"""

from __future__ import annotations

#: By the order of the tables; the first two are what all others are compared with.
NAMES = ("mealshare", "floor", "flask", "falcon", "django", "fastapi", "litestar")
