from __future__ import annotations

import random
from urllib.parse import urljoin, urlsplit

import pytest

from mealshare.core.security.redirects import MAX_LENGTH, safe_next


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/home",
        "/@ana/123",
        "/@ana/123#comments",
        "/search?q=a%2F%2Fb&page=2",
        "/share?text=one%0Atwo&url=https%3A%2F%2Fx.example",
        "/search?q=https://x.example//y",
        "/search?q=..//../x",
        "/tags/%E9%BA%BB",
        "/a:b",
        "/x?a=[1]",
        "/?next=/home",
        "/100%25",
    ],
)
def test_a_path_of_this_site_comes_back_unchanged(path: str) -> None:
    assert safe_next(path) == path


def test_characters_beyond_ascii_are_encoded() -> None:
    assert safe_next("/tags/麻辣?q=é") == "/tags/%E9%BA%BB%E8%BE%A3?q=%C3%A9"
    assert safe_next("/tags/\u2028x") == "/tags/%E2%80%A8x"
    assert safe_next("/／evil.example") == "/%EF%BC%8Fevil.example"
    assert safe_next('/a"<b>') == "/a%22%3Cb%3E"


ATTACKS = [
    None,
    "",
    "home",
    "?x",
    "#x",
    "//evil.example",
    "///evil.example",
    "////evil.example/..",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\\/evil.example",
    "/x\\..\\y",
    "https:evil.example",
    "https:/evil.example",
    "https://evil.example",
    "HTTPS://evil.example",
    "http:\\\\evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    " //evil.example",
    "\t//evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "/\0/evil.example",
    "/a b",
    "/x\r\nSet-Cookie: a=b",
    "/x\x7f",
    "/x\x85y",
    "/\x9b",
    "\u00a0//evil.example",
    "/x?y=\n",
    "/x#\\",
    "/%5Cevil.example",
    "/%5cevil.example",
    "/%2Fevil.example",
    "/%2F%2Fevil.example",
    "/%2f/evil.example",
    "/%252Fevil.example",
    "/%25252Fevil.example",
    "/%2525252525252Fevil.example",
    "/%09/evil.example",
    "/%0d%0aSet-Cookie:%20a=b",
    "/x%00",
    "/x%7f",
    "/%C2%85",
    "/..//evil.example",
    "/.//evil.example",
    "/../x",
    "/x/..",
    "/x/./y",
    "/%2e%2e//evil.example",
    "/x/%2e%2E/y",
    "/x//y",
    "/%ff",
    "/%C3",
    "/\ud800",
    "/x?\udfff",
    "@evil.example",
    ".evil.example",
    ":80",
    "／／evil.example",
    "/" + "a" * MAX_LENGTH,
    "/" + "麻" * 700,
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_everything_else_gives_the_default(attack: str | None) -> None:
    assert safe_next(attack) == "/"
    assert safe_next(attack, "/home") == "/home"


def test_the_length_limit_is_on_the_encoded_form() -> None:
    assert safe_next("/" + "a" * (MAX_LENGTH - 1)) == "/" + "a" * (MAX_LENGTH - 1)
    longest = "/" + "麻" * ((MAX_LENGTH - 1) // 9)
    assert safe_next(longest) != "/"
    assert safe_next(longest + "麻") == "/"


def test_whatever_is_let_through_stays_on_this_site() -> None:
    rng = random.Random(17)
    parts = [
        "/",
        "//",
        "\\",
        "%2f",
        "%5c",
        "%25",
        "..",
        ".",
        ":",
        "@",
        "?",
        "#",
        "\t",
        "\n",
        " ",
        "evil.example",
        "https:",
        "é",
        "%",
        "%zz",
    ]
    passed = 0
    for _ in range(20_000):
        value = "/" * rng.randint(0, 1) + "".join(rng.choices(parts, k=rng.randint(1, 6)))
        result = safe_next(value, default="")
        if result:
            passed += 1
            assert result.isascii()
            assert result.isprintable()
            assert urlsplit(urljoin("https://meals.example/login", result)).netloc == "meals.example"
    assert passed > 500
