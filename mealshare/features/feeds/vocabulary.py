"""The words that other sites know: media types, and the names of schema.org."""

from __future__ import annotations

from mealshare.features.meals.vocabulary import Diet

ATOM = "application/atom+xml"
JSON_FEED = "application/feed+json"
OEMBED = "application/json+oembed"
#: How many meals a feed has.
NEWEST = 30
#: For how many seconds anybody may keep what is the same for everybody.  A meal that is made private goes from every
#: such answer at once; this is how long a cache between us and the readers may not know of it.
MAX_AGE = 60
#: The members of schema.org's RestrictedDiet.
RESTRICTED_DIETS = {diet: f"https://schema.org/{diet.replace('_', ' ').title().replace(' ', '')}Diet" for diet in Diet}
