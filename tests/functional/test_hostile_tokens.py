"""Attacks on access tokens, as they arrive over HTTP: each is a 401 that says why, and none falls back to the cookie."""

from __future__ import annotations

import base64
import hmac
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pyramid.router import Router
from sqlalchemy import delete, update

from mealshare import main
from mealshare.core import clock
from mealshare.core.security.identity import Role
from mealshare.core.security.tokens import hash_token
from mealshare.features.accounts.models import Account, PersonalToken
from mealshare.features.accounts.service import AccountService
from mealshare.features.accounts.service_sessions import end_all_access
from tests.functional.hostile_requests import Answer, Somebody, browser_of, route_table, send, send_json, urlencoded
from tests.sites import site_settings

ORIGIN = "http://localhost:5173"
SECRET = b"tests-only-KnownToEverybody-0123456789-abcdefghijklmnop"
FORM = "application/x-www-form-urlencoded"
#: A personal address, a public one, one about a thing and one that changes something: a bad token is bad at each.
ADDRESSES = (
    ("GET", "/api/user/profile"),
    ("GET", "/api/meals"),
    ("GET", "/api/users/ann"),
    ("POST", "/api/meals"),
    ("POST", "/api/logout"),
)


def b64(value: bytes | dict[str, Any]) -> str:
    """Base64url without padding, of JSON if it is a dict."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> Any:
    """The JSON in a part of a token."""
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def hs(content: str, key: bytes = SECRET, digest: str = "sha256") -> str:
    """``content`` with its HMAC."""
    return f"{content}.{b64(hmac.digest(key, content.encode(), digest))}"


@dataclass
class Site:
    """The application with an allowed origin, somebody who is signed in there in both ways, and an RSA key."""

    app: Router
    registry: Any
    mei: SimpleNamespace
    browser: Somebody
    tokens: dict[str, Any]
    rsa: rsa.RSAPrivateKey

    @property
    def parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of the good token."""
        header, claims, _ = self.tokens["access_token"].split(".")
        return unb64(header), unb64(claims)

    def signed(self, header: dict[str, Any] | None = None, drop: tuple[str, ...] = (), **claims: Any) -> str:
        """A token with the right key, whatever it says."""
        good_header, good_claims = self.parts
        said = {name: value for name, value in (good_claims | claims).items() if name not in drop}
        return hs(f"{b64(good_header | (header or {}))}.{b64(said)}")

    def public_pem(self) -> bytes:
        """The RSA key that everybody may read."""
        return self.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    """One key for all tests: making one takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def second_application(registry: Any, site_folder: Path, **settings: str) -> Router:
    """The application once more, on the same database, with other settings."""
    url = registry["engine"].url.render_as_string(hide_password=False)
    known = site_settings(site_folder, url, "http://localhost") | {"jobs.engine": "worker", "cors.origins": ORIGIN}
    return main({}, **known, **{name.replace("__", "."): value for name, value in settings.items()})


@pytest.fixture
def site(
    registry: Any, site_folder: Path, make_user: Callable[..., SimpleNamespace], rsa_key: rsa.RSAPrivateKey
) -> Iterator[Site]:
    """HS256, the default."""
    app = second_application(registry, site_folder)
    mei = make_user("mei")
    make_user("ann")
    tokens = send_json(app, "POST", "/api/login", Somebody(), {"username": "mei", "password": mei.password}).json
    yield Site(app, app.registry, mei, browser_of(app.registry, mei.account_id), tokens, rsa_key)
    app.registry["engine"].dispose()
    app.registry["read_engine"].dispose()


def refused(site: Site, token: str, code: str, scheme: str = "Bearer ") -> None:
    """At every address, beside a session cookie that is good: 401, the type, the challenge, and CORS."""
    for method, path in ADDRESSES:
        headers = {"HTTP_ORIGIN": ORIGIN, "HTTP_SEC_FETCH_SITE": "cross-site"}
        who = Somebody(site.browser.cookies, site.browser.csrf, scheme + token)
        answer = send(
            site.app, method, path, who, body=b'{"food": "rice"}', content_type="application/json", headers=headers
        )
        check_refusal(answer, code, f"{method} {path}")


def check_refusal(answer: Answer, code: str, said: str) -> None:
    """401 as RFC 6750 and RFC 9457 want it, readable for the script that asked."""
    assert answer.status == 401, (said, answer.text)
    assert answer.json["type"] == f"http://localhost/problems/{code}", said
    assert answer.header("Content-Type") == "application/problem+json"
    assert 'error="invalid_token"' in answer.header("WWW-Authenticate"), said
    assert answer.header("WWW-Authenticate").startswith("Bearer ")
    assert answer.header("Access-Control-Allow-Origin") == ORIGIN, said
    assert "WWW-Authenticate" in answer.header("Access-Control-Expose-Headers")
    assert "no-store" in answer.header("Cache-Control")
    assert {"Origin", "Authorization"} <= {part.strip() for part in answer.header("Vary").split(",")}


def test_the_good_token_is_good(site: Site) -> None:
    """The refusals below mean something: the unaltered token, and one signed by these tests, are accepted."""
    for token in (site.tokens["access_token"], site.signed(), site.signed(jti="another")):
        for scheme in ("Bearer ", "bearer ", "BEARER "):
            answer = send(site.app, "GET", "/api/user/profile", Somebody(authorization=scheme + token))
            assert (answer.status, answer.json["username"]) == (200, "mei")


@pytest.mark.parametrize(
    "algorithm",
    [
        "none",
        "None",
        "NONE",
        "nOnE",
        "",
        "HS384",
        "HS512",
        "RS256",
        "ES256",
        "PS256",
        "EdDSA",
        "HS256 ",
        "hs256",
        None,
        1,
        ["HS256"],
    ],
)
def test_algorithms(site: Site, algorithm: Any) -> None:
    """Only the algorithm of the key counts; with the right signature, another one, and none."""
    header, claims = site.parts
    content = f"{b64(header | {'alg': algorithm})}.{b64(claims)}"
    for token in (
        hs(content),
        hs(content, digest="sha384"),
        hs(content, digest="sha512"),
        f"{content}.{b64(b'x' * 32)}",
    ):
        refused(site, token, "token_algorithm")
    refused(site, f"{content}.", "token_malformed")


def test_header_tricks(site: Site) -> None:
    """kid as a path, a query, a list; keys that come along; critical members; other types."""
    for kid in (
        "",
        "../../dev/null",
        "/dev/null",
        "' UNION SELECT 'x",
        "x\0",
        "0",
        "a" * 500,
        "jwks.json",
        "http://evil.example/k",
    ):
        for key in (SECRET, b"", b"\0", kid.encode()):
            header, claims = site.parts
            refused(site, hs(f"{b64(header | {'kid': kid})}.{b64(claims)}", key or b"\0"), "token_key_unknown")
    for kid in (None, 1, [], {}, [site.parts[0]["kid"]], True):
        refused(site, site.signed({"kid": kid}), "token_key_unknown")
    jwk = {"kty": "oct", "k": b64(b"k" * 32)}
    for member in (
        {"jwk": jwk}, {"jku": "https://evil.example/jwks.json"}, {"x5u": "https://evil.example/x"}, {"x5c": ["MIIB"]}, {"x5t": "a"},
        {"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"zip": "DEF"}, {"cty": "JWT"}, {"enc": "A256GCM"}, {"iss": "http://localhost"},
    ):  # fmt: skip
        refused(site, site.signed(member), "token_malformed")
        header, claims = site.parts
        refused(site, hs(f"{b64(header | member)}.{b64(claims)}", b"k" * 32), "token_malformed")
    for kind in ("JWT", "jwt", "AT+JWT", "application/at+jwt", "", None, 1, "rt+jwt"):
        refused(site, site.signed({"typ": kind}), "token_type")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": 1}, "token_expired"), ({"exp": 0}, "token_expired"), ({"exp": "9999999999"}, "token_claim_invalid"), ({"exp": 9e12}, "token_claim_invalid"),
        ({"exp": None}, "token_claim_invalid"), ({"exp": True}, "token_claim_invalid"), ({"exp": -1}, "token_claim_invalid"), ({"exp": [9999999999]}, "token_claim_invalid"),
        ({"nbf": 32503680000}, "token_not_yet_valid"), ({"nbf": "0"}, "token_claim_invalid"), ({"iat": 32503680000}, "token_issued_in_future"), ({"iat": 1.5}, "token_claim_invalid"),
        ({"iss": "http://localhost/"}, "token_issuer"), ({"iss": "http://localhost.evil.example"}, "token_issuer"), ({"iss": "HTTP://LOCALHOST"}, "token_issuer"), ({"iss": ""}, "token_issuer"),
        ({"iss": ["http://localhost"]}, "token_claim_invalid"), ({"iss": None}, "token_claim_invalid"),
        ({"aud": "http://localhost/"}, "token_audience"), ({"aud": []}, "token_audience"), ({"aud": ["http://localhost", "http://evil.example"]}, "token_audience"),
        ({"aud": {"http://localhost": 1}}, "token_claim_invalid"), ({"aud": [1]}, "token_claim_invalid"), ({"aud": 1}, "token_claim_invalid"),
        ({"sub": 117}, "token_claim_invalid"), ({"sub": ""}, "token_claim_invalid"), ({"sub": None}, "token_claim_invalid"), ({"sub": ["1"]}, "token_claim_invalid"),
        ({"sub": "0"}, "token_revoked"), ({"sub": "1"}, "token_revoked"), ({"sub": "-1"}, "token_claim_invalid"), ({"sub": "1e3"}, "token_claim_invalid"),
        ({"sub": "9" * 40}, "token_claim_invalid"), ({"sub": "1 OR 1=1"}, "token_claim_invalid"), ({"sub": "\0"}, "token_claim_invalid"),
        ({"sid": "1"}, "token_revoked"), ({"sid": "9" * 40}, "token_claim_invalid"), ({"gen": 7}, "token_revoked"), ({"gen": "0"}, "token_claim_invalid"),
        ({"gen": 2**70}, "token_claim_invalid"), ({"jti": ""}, "token_claim_invalid"), ({"role": 1}, "token_claim_invalid"), ({"scope": ["read"]}, "token_claim_invalid"),
    ],
)  # fmt: skip
def test_claims(site: Site, claims: dict[str, Any], code: str) -> None:
    """Rightly signed, but expired, too early, from another, for another, or of the wrong kind."""
    refused(site, site.signed(**claims), code)


def test_missing_claims(site: Site) -> None:
    """Each of them is required: a token without an end is none."""
    for name in site.parts[1]:
        refused(site, site.signed(drop=(name,)), "token_claim_missing")


def test_a_claimed_role_or_scope_gives_nothing(site: Site) -> None:
    """The rights are those of the row, whatever a token with the right key says."""
    token = site.signed(role="admin", scope="read write media follow admin:read admin:write", username="root")
    who = Somebody(authorization=f"Bearer {token}")
    profile = send(site.app, "GET", "/api/user/profile", who).json
    assert (profile["username"], profile["role"]) == ("mei", "user")


def test_tampered_oversize_and_malformed(site: Site) -> None:
    """One bit anywhere, a part too many or too few, padding, white space, another alphabet."""
    good = site.tokens["access_token"]
    header, claims, signature = good.split(".")
    for text, code in (
        ("", "token_malformed"), (".", "token_malformed"), ("..", "token_malformed"), ("a.b", "token_malformed"), (f"{good}.", "token_malformed"),
        (f"{good}.x", "token_malformed"), (f"{header}.{claims}", "token_malformed"), (f"{good}=", "token_malformed"), (f"{good}, {good}", "token_malformed"),
        (f"{good} x", "token_malformed"), (good.replace(".", " ."), "token_malformed"), (f"{header}.{claims}.{signature[:-2]}", "token_malformed"),
        (f"{header}.{claims}.{b64(b'y' * 32)}", "token_signature"), (f"{header}.{b64(site.parts[1] | {'sub': '1'})}.{signature}", "token_signature"),
        (hs(f"{header}.{claims}", b"another key of thirty-two bytes!!"), "token_signature"), ("a" * 4097, "token_too_large"), (good + "a" * 4096, "token_too_large"),
        (hs(f"{header}.{b64(b'[]')}"), "token_malformed"), (hs(f"{header}.{b64(b'not json')}"), "token_malformed"), (hs(f"{b64(b'null')}.{claims}"), "token_malformed"),
        (f"\xff{good}", "token_malformed"), (good.upper(), "token_malformed"),
    ):  # fmt: skip
        refused(site, text, code)


def test_one_kind_of_token_is_not_the_other(site: Site) -> None:
    """A refresh token opens nothing, an access token refreshes nothing, a session id is no token and the reverse."""
    refused(site, site.tokens["refresh_token"], "token_malformed")
    refused(site, site.browser.cookies["session"], "token_malformed")
    for value in (site.tokens["access_token"], site.browser.cookies["session"], "", "x" * 5000, "\0"):
        answer = send_json(site.app, "POST", "/api/token/refresh", Somebody(), {"refresh_token": value})
        assert answer.status in (400, 401, 422)
        assert answer.status != 401 or answer.json["type"].endswith("/refresh_token_invalid")
    for value in (site.tokens["refresh_token"], site.tokens["access_token"]):
        assert send(site.app, "GET", "/api/user/profile", Somebody({"session": value})).status == 401
    # Only in the header: not in the address, not in a form.
    for place in ("access_token", "token", "Authorization"):
        answer = send(site.app, "GET", f"/api/meals?{place}={site.tokens['access_token']}")
        assert answer.status == 400


def test_a_token_that_was_revoked(site: Site) -> None:
    """By logging out, and by using a refresh token twice."""
    who = Somebody(authorization=f"Bearer {site.tokens['access_token']}")
    assert send(site.app, "POST", "/api/logout", who).status == 204
    refused(site, site.tokens["access_token"], "token_revoked")
    again = send_json(
        site.app, "POST", "/api/token/refresh", Somebody(), {"refresh_token": site.tokens["refresh_token"]}
    )
    assert again.status == 401
    fresh = send_json(
        site.app, "POST", "/api/login", Somebody(), {"username": "mei", "password": site.mei.password}
    ).json
    newer = send_json(
        site.app, "POST", "/api/token/refresh", Somebody(), {"refresh_token": fresh["refresh_token"]}
    ).json
    reused = send_json(site.app, "POST", "/api/token/refresh", Somebody(), {"refresh_token": fresh["refresh_token"]})
    assert reused.json["type"].endswith("/refresh_token_reused")
    refused(site, newer["access_token"], "token_revoked")
    refused(site, fresh["access_token"], "token_revoked")
    last = send_json(site.app, "POST", "/api/token/refresh", Somebody(), {"refresh_token": newer["refresh_token"]})
    assert last.status == 401


@pytest.mark.parametrize("event", ["password", "role", "suspension", "reset"])
def test_a_change_of_the_account_ends_its_tokens(site: Site, event: str) -> None:
    """At once, and for good: the token, its refresh token, and what was made with it."""
    registry, account_id = site.registry, site.mei.account_id
    personal = personal_token(site)
    if event == "password":
        form = urlencoded(
            [
                ("current_password", site.mei.password),
                ("new_password", "a new one for mei 1"),
                ("again", "a new one for mei 1"),
            ]
        )
        assert send(site.app, "POST", "/settings/password", site.browser, body=form, content_type=FORM).status == 303
    elif event == "role":
        with registry["open_work"]() as work:
            AccountService(work, registry["base_url"]).set_role("mei", Role.MODERATOR)
    elif event == "suspension":
        with registry["engine"].begin() as connection:
            connection.execute(update(Account.__table__).where(Account.id == account_id).values(suspended_at=now()))
    else:
        with registry["open_work"]() as work:
            end_all_access(work, account_id)
    refused(site, site.tokens["access_token"], "token_revoked")
    refused(site, personal, "token_revoked" if event == "suspension" else "token_unknown")
    assert send(site.app, "GET", "/api/user/profile", site.browser).status == 401
    answer = send_json(
        site.app, "POST", "/api/token/refresh", Somebody(), {"refresh_token": site.tokens["refresh_token"]}
    )
    assert answer.status == 401


def now() -> Any:
    """The present moment, as the database takes it."""
    return clock.now()


def test_a_bad_token_on_a_page_is_no_visit(site: Site) -> None:
    """Pages, too, refuse it rather than showing what the cookie would."""
    for path in ("/", "/settings/profile", "/@mei", "/new"):
        who = Somebody(site.browser.cookies, "", "Bearer a.b.c")
        answer = send(site.app, "GET", path, who)
        assert (answer.status, answer.header("WWW-Authenticate")) == (401, 'Bearer error="invalid_token"'), path
        assert "/settings" not in answer.text.replace('value="/settings/profile"', "")


def test_a_strange_origin_is_granted_nothing(site: Site) -> None:
    """Neither with a good token nor with a bad one, whatever looks like the allowed origin."""
    for origin in (
        "null",
        "http://evil.example",
        f"{ORIGIN}.evil.example",
        "http://localhost:51730",
        "https://localhost:5173",
        "http://LOCALHOST:5173",
        f"{ORIGIN}/",
        "*",
        "",
    ):
        for token in (site.tokens["access_token"], "a.b.c"):
            who = Somebody(authorization=f"Bearer {token}")
            for method in ("GET", "OPTIONS"):
                headers = {"HTTP_ORIGIN": origin, "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}
                answer = send(site.app, method, "/api/user/profile", who, headers=headers)
                assert not answer.header("Access-Control-Allow-Origin"), origin
                assert not answer.header("Access-Control-Allow-Credentials")


def doubled(site: Site, part: int, name: str, value: Any) -> str:
    """A token with the right key whose header (0) or claims (1) name a member twice, the good value last."""
    texts = [json.dumps(one) for one in site.parts]
    texts[part] = f'{{"{name}": {json.dumps(value)}, {texts[part][1:]}'
    return hs(".".join(b64(text.encode()) for text in texts))


#: The attack list: a token made from good ones, and the problem that it is told.  What needs more than a token (a login
#: that has ended, a public key) has tests of its own above and below.
ATTACKS: dict[str, tuple[Callable[[Site], str], str]] = {
    "no algorithm": (lambda site: f"{b64(site.parts[0] | {'alg': 'none'})}.{b64(site.parts[1])}.", "token_malformed"),
    "no algorithm, but a signature": (lambda site: site.signed({"alg": "nOnE"}), "token_algorithm"),
    "an algorithm of public keys with the secret": (lambda site: site.signed({"alg": "RS256"}), "token_algorithm"),
    "another hash with the secret": (lambda site: hs(".".join(map(b64, site.parts)), digest="sha512"), "token_signature"),
    "a key named by a path": (lambda site: site.signed({"kid": "../../../dev/null"}), "token_key_unknown"),
    "a key named by a query": (lambda site: site.signed({"kid": "x' UNION SELECT 1--"}), "token_key_unknown"),
    "a key without a name": (lambda site: site.signed({"kid": ""}), "token_key_unknown"),
    "a list of keys": (lambda site: site.signed({"kid": [site.parts[0]["kid"]]}), "token_key_unknown"),
    "a key brought along": (lambda site: site.signed({"jwk": {"kty": "oct", "k": b64(SECRET)}}), "token_malformed"),
    "a key elsewhere": (lambda site: site.signed({"jku": "https://evil.example/jwks.json"}), "token_malformed"),
    "a certificate elsewhere": (lambda site: site.signed({"x5u": "https://evil.example/x"}), "token_malformed"),
    "a certificate brought along": (lambda site: site.signed({"x5c": ["MIIB"]}), "token_malformed"),
    "a critical extension": (lambda site: site.signed({"crit": ["b64"], "b64": False}), "token_malformed"),
    "another site's key": (lambda site: hs(".".join(map(b64, site.parts)), b"k" * 32), "token_signature"),
    "another site's token": (lambda site: site.signed({"kid": "other"}, iss="http://evil.example"), "token_key_unknown"),
    "another kind of token": (lambda site: site.signed({"typ": "JWT"}), "token_type"),
    "expired": (lambda site: site.signed(exp=site.parts[1]["iat"] - 61, nbf=0, iat=0), "token_expired"),
    "not yet valid": (lambda site: site.signed(nbf=site.parts[1]["iat"] + 600), "token_not_yet_valid"),
    "from the future": (lambda site: site.signed(iat=site.parts[1]["iat"] + 600), "token_issued_in_future"),
    "an issuer with ours in front": (lambda site: site.signed(iss="http://localhost.evil.example"), "token_issuer"),
    "for somebody else": (lambda site: site.signed(aud="http://evil.example"), "token_audience"),
    "for somebody else, too": (lambda site: site.signed(aud=["http://localhost", "http://evil.example"]), "token_audience"),
    "a number as subject": (lambda site: site.signed(sub=int(site.parts[1]["sub"])), "token_claim_invalid"),
    "an end in words": (lambda site: site.signed(exp="9999999999"), "token_claim_invalid"),
    "without an end": (lambda site: site.signed(drop=("exp",)), "token_claim_missing"),
    "without an audience": (lambda site: site.signed(drop=("aud",)), "token_claim_missing"),
    "another subject": (lambda site: site.signed(sub="1"), "token_revoked"),
    "another generation": (lambda site: site.signed(gen=site.parts[1]["gen"] + 1), "token_revoked"),
    "two algorithms": (lambda site: doubled(site, 0, "alg", "none"), "token_malformed"),
    "two subjects": (lambda site: doubled(site, 1, "sub", "1"), "token_malformed"),
    "a header of many floors": (lambda site: site.signed({"x": json.loads("[" * 300 + "]" * 300)}), "token_malformed"),
    "a claim of more floors": (lambda site: site.signed(x=json.loads("[" * 900 + "]" * 900)), "token_malformed"),
    "a header of any number of floors": (lambda site: f"{b64(b'[' * 1400)}.{b64(b'[' * 1400)}.x", "token_malformed"),
    "altered claims": (
        lambda site: hs(f"{b64(site.parts[0])}.{b64(site.parts[1] | {'role': 'admin'})}", b"k" * 32), "token_signature",
    ),
    "too long": (lambda site: site.signed(username="x" * 4096), "token_too_large"),
    "white space inside": (lambda site: site.tokens["access_token"].replace(".", " .", 1), "token_malformed"),
    "a refresh token": (lambda site: site.tokens["refresh_token"], "token_malformed"),
    "no token": (lambda site: "", "token_malformed"),
    "a second header": (lambda site: f"{site.tokens['access_token']}, Bearer {site.tokens['access_token']}", "token_malformed"),
    "a personal token that nobody has": (lambda site: f"msp_{'A' * 43}", "token_unknown"),
    "a personal token cut short": (lambda site: f"msp_{'A' * 42}", "token_malformed"),
    "a personal token in capitals": (lambda site: f"MSP_{'A' * 43}", "token_malformed"),
    "an access token behind the prefix": (lambda site: f"msp_{site.tokens['access_token']}", "token_malformed"),
    "a personal token with half a letter": (lambda site: f"msp_{'A' * 42}\udc80", "token_malformed"),
}  # fmt: skip


def test_the_attack_list(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """Each is told what is wrong with it and gets nothing, whatever stands beside it; together they know every problem."""
    for make, code in ATTACKS.values():
        for scheme in ("Bearer ", "bearer  "):
            refused(site, make(site), code, scheme)
    # A scheme without a token as servers hand it on, and a token behind another scheme.
    for header in ("Bearer", "bearer", f"Basic eDp5, Bearer {site.tokens['access_token']}"):
        refused(site, header, "token_malformed", scheme="")
    problems = {code for code in site.registry["problems"] if code.startswith("token_")}
    assert {code for _make, code in ATTACKS.values()} == problems
    for code in problems:
        # The address that a problem is named by explains it.
        assert send(site.app, "GET", f"/problems/{code}").status == 200, code
    # Refusing an attack is no failure of the site.
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def personal_token(site: Site) -> str:
    """A personal token of mei's."""
    who = Somebody(authorization=f"Bearer {site.tokens['access_token']}")
    wanted = {"name": "x", "scopes": ["read", "write"], "expires_at": None}
    token: str = send_json(site.app, "POST", "/api/tokens", who, wanted).json["token"]
    assert send(site.app, "GET", "/api/user/profile", Somebody(authorization=f"Bearer {token}")).status == 200
    return token


def test_a_personal_token_under_attack(site: Site) -> None:
    """One letter of it, its hash, and what becomes of it in the end."""
    token = personal_token(site)
    for place in (4, 20, 46):
        refused(site, token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :], "token_unknown")
    refused(site, f"msp_{b64(hash_token(token))}", "token_unknown")
    refused(site, hash_token(token).hex(), "token_malformed")
    for text in (f"{token}x", f"{token} x", f" x{token}", f"{token}, {token}", token.upper(), token[4:]):
        refused(site, text, "token_malformed")
    # Nowhere but in its header.
    assert send(site.app, "GET", f"/api/meals?access_token={token}").status == 400
    assert send(site.app, "GET", "/api/user/profile", Somebody({"session": token})).status == 401
    answer = send_json(site.app, "POST", "/api/token/refresh", Somebody(), {"refresh_token": token})
    assert (answer.status, answer.json["type"].rpartition("/")[2]) == (401, "refresh_token_invalid")
    with site.registry["engine"].begin() as connection:
        ended = now() - timedelta(seconds=1)
        connection.execute(update(PersonalToken.__table__).values(expires_at=ended))
    refused(site, token, "token_expired")
    with site.registry["engine"].begin() as connection:
        connection.execute(delete(PersonalToken))
    refused(site, token, "token_unknown")


def test_every_api_address_refuses_a_bad_token(site: Site) -> None:
    """From the route table, public ones as well."""
    for route in route_table(site.registry).values():
        if route.pattern.startswith("/api/"):
            for method in route.methods - {"HEAD"}:
                path = route.path(username="mei", id="1", tag="x")
                answer = send(
                    site.app,
                    method,
                    path,
                    Somebody(site.browser.cookies, "", "Bearer a.b.c"),
                    headers={"HTTP_ORIGIN": ORIGIN},
                )
                assert answer.status == 401 and answer.json["type"].endswith("/token_malformed"), (
                    route.name,
                    method,
                    answer.status,
                )


def test_the_public_key_is_no_secret(
    registry: Any, site_folder: Path, tmp_path: Path, make_user: Any, rsa_key: Any
) -> None:
    """RS256: a token signed by HMAC with the published key, in each of its spellings, is refused."""
    file = tmp_path / "key.pem"
    file.write_bytes(rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    app = second_application(registry, site_folder, jwt__algorithm="RS256", jwt__private_key_file=str(file))
    try:
        mei = make_user("mei")
        make_user("ann")
        tokens = send_json(app, "POST", "/api/login", Somebody(), {"username": "mei", "password": mei.password}).json
        site = Site(app, app.registry, mei, browser_of(app.registry, mei.account_id), tokens, rsa_key)
        header, claims = site.parts
        assert header["alg"] == "RS256"
        assert (
            send(app, "GET", "/api/user/profile", Somebody(authorization=f"Bearer {tokens['access_token']}")).status
            == 200
        )
        jwk = send(app, "GET", "/.well-known/jwks.json").json["keys"][0]
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(jwk)
        public = rsa_key.public_key()
        spellings = [
            site.public_pem(), site.public_pem().strip(), public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            public.public_bytes(Encoding.PEM, PublicFormat.PKCS1), json.dumps(jwk).encode(), jwk["n"].encode(), jwk["kid"].encode(), SECRET,
        ]  # fmt: skip
        for key in spellings:
            for said in ({"alg": "HS256"}, {"alg": "RS256"}, {"alg": "none"}):
                forged = hs(f"{b64(header | said)}.{b64(claims | {'role': 'admin'})}", key)
                refused(site, forged, "token_signature" if said["alg"] == "RS256" else "token_algorithm")
        stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        content = f"{b64(header)}.{b64(claims)}"
        signature = stranger.sign(content.encode(), padding.PKCS1v15(), hashes.SHA256())
        refused(site, f"{content}.{b64(signature)}", "token_signature")
        weak = rsa_key.sign(content.encode(), padding.PKCS1v15(), hashes.SHA1())
        refused(site, f"{content}.{b64(weak)}", "token_signature")
        pss = rsa_key.sign(content.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        refused(site, f"{content}.{b64(pss)}", "token_signature")
    finally:
        app.registry["engine"].dispose()
        app.registry["read_engine"].dispose()
