"""Finding by words: how text is cut into tokens, and an index of them that answers the same on both databases."""

from __future__ import annotations

from mealshare.core.search.index import Match, WordIndex
from mealshare.core.search.tokens import QUERY_LENGTH, Term, query_terms, tokens

__all__ = ["QUERY_LENGTH", "Match", "Term", "WordIndex", "query_terms", "tokens"]
