"""What a search must find, said in plain Python: the model that both databases are compared with."""

from __future__ import annotations

from collections.abc import Iterable

from mealshare.core.search import Term, query_terms, tokens


def holds(words: Iterable[str], terms: Iterable[Term]) -> bool:
    """Whether all terms are among the words."""
    known = list(words)
    return all(any(word.startswith(text) if prefix else word == text for word in known) for text, prefix in terms)


def finds(text: str, query: str) -> bool:
    """Whether ``query`` finds ``text``; one without a word finds nothing."""
    terms = query_terms(query)
    return bool(terms) and holds(tokens(text), terms)
