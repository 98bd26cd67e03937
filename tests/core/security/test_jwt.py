"""The attack list against access tokens; every refusal has its own code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import string
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mealshare.core import clock
from mealshare.core.security import jwt as module
from mealshare.core.security.jwt import MAX_LENGTH, AccessClaims, AccessTokens, TokenError
from mealshare.core.security.jwt_keys import JwtKey, JwtKeys, JwtSettings, asymmetric_key, hs256_key, sign
from mealshare.core.security.tokens import hash_token, new_token
from mealshare.core.settings import Secret

ISSUER = "https://meals.example"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
SECRET = new_token(48)
CLAIMS = AccessClaims(subject="117", username="ana", role="user", scope="read write", grant_id="8123", generation=4)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


HS = hs256_key(SECRET)
RS = asymmetric_key(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)), "x")
ES = asymmetric_key(pem(ec.generate_private_key(ec.SECP256R1())), "x")
ALL = pytest.mark.parametrize("key", [HS, RS, ES], ids=["HS256", "RS256", "ES256"])


def tokens_of(key: JwtKey, *previous: JwtKey) -> AccessTokens:
    return AccessTokens(JwtKeys(key, previous), ISSUER, ISSUER, lambda: NOW)


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def header_of(key: JwtKey) -> dict[str, Any]:
    return {"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"}


def payload(**changes: Any) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "117",
        "jti": "j1",
        "iat": EPOCH,
        "nbf": EPOCH,
        "exp": EPOCH + 900,
        "sid": "8123",
        "gen": 4,
        "role": "user",
        "scope": "read write",
        "username": "ana",
    }
    claims.update(changes)
    return claims


def forge(key: JwtKey, header: Any = None, claims: Any = None, *, raw_header: bytes = b"", raw: bytes = b"") -> str:
    """A token with any content whatever, rightly signed by ``key``."""
    first = raw_header or json.dumps(header_of(key) if header is None else header).encode()
    second = raw or json.dumps(payload() if claims is None else claims).encode()
    content = f"{b64(first)}.{b64(second)}"
    return f"{content}.{b64(sign(key, content.encode()))}"


def code_of(tokens: AccessTokens, token: str, now: datetime | None = None) -> str:
    with pytest.raises(TokenError) as caught:
        tokens.verify(token, now=now)
    assert token == "" or token not in str(caught.value)
    return caught.value.code


# --- what must work -------------------------------------------------------------------------------------------------


@ALL
def test_a_token_says_what_was_put_in(key: JwtKey) -> None:
    tokens = tokens_of(key)
    token = tokens.issue(CLAIMS)
    claims = tokens.verify(token)
    expected = replace(CLAIMS, token_id=claims.token_id, issued_at=EPOCH, expires_at=EPOCH + 900)
    assert claims == expected
    assert len(claims.token_id) == 22
    assert claims.scopes == {"read", "write"}
    assert tokens.verify(tokens.issue(CLAIMS)).token_id != claims.token_id


@ALL
def test_a_hand_made_token_of_the_same_form_passes(key: JwtKey) -> None:
    # The base of all attacks below: each differs from this one in one thing.
    assert tokens_of(key).verify(forge(key)).subject == "117"


@ALL
def test_another_library_reads_our_token(key: JwtKey) -> None:
    token = tokens_of(key).issue(CLAIMS)
    header = pyjwt.get_unverified_header(token)
    assert header == {"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"}
    required = ["exp", "nbf", "iat", "iss", "aud", "sub", "jti"]
    decoded = pyjwt.decode(
        token,
        key.verifying,
        algorithms=[key.algorithm],
        issuer=ISSUER,
        audience=ISSUER,
        options={"require": required, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    assert decoded["scope"] == "read write"


def test_the_settings_give_lifetime_leeway_issuer_and_audience() -> None:
    settings = JwtSettings(secret=Secret(SECRET), access_seconds=120, leeway_seconds=5)
    tokens = AccessTokens.from_settings(settings, ISSUER, lambda: NOW)
    assert (tokens.issuer, tokens.audience) == (ISSUER, ISSUER)
    token = tokens.issue(CLAIMS)
    assert tokens.verify(token, now=NOW + timedelta(seconds=124)).expires_at == EPOCH + 120
    assert code_of(tokens, token, NOW + timedelta(seconds=125)) == "token_expired"
    named = replace(settings, issuer="https://id.example", audience="meals")
    other = AccessTokens.from_settings(named, ISSUER, lambda: NOW)
    assert (other.issuer, other.audience) == ("https://id.example", "meals")
    assert code_of(tokens, other.issue(CLAIMS)) == "token_issuer"


def test_the_clock_is_the_real_one_unless_told() -> None:
    tokens = AccessTokens(JwtKeys(HS), ISSUER, ISSUER)
    before = clock.milliseconds() // 1000
    assert before <= tokens.verify(tokens.issue(CLAIMS)).issued_at <= clock.milliseconds() // 1000 + 1


@pytest.mark.parametrize(
    "claims",
    [
        replace(CLAIMS, subject=""),
        replace(CLAIMS, subject=117),
        replace(CLAIMS, generation=True),
        replace(CLAIMS, generation=-1),
        replace(CLAIMS, role=""),
        replace(CLAIMS, scope=["read"]),
        replace(CLAIMS, username="x" * 5000),
    ],
)
def test_what_would_be_refused_is_not_issued(claims: AccessClaims) -> None:
    with pytest.raises(ValueError):
        tokens_of(HS).issue(claims)


def test_an_empty_scope_and_a_given_id_are_fine() -> None:
    tokens = tokens_of(HS)
    claims = tokens.verify(tokens.issue(replace(CLAIMS, scope="", token_id="mine")))
    assert (claims.scopes, claims.token_id) == (frozenset(), "mine")


# --- algorithm ------------------------------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", " none", "HS384", "RS512", "hs256", None, 0, [], {}]
)
@pytest.mark.parametrize("signed", [True, False])
def test_alg_none_and_others(key: JwtKey, algorithm: Any, signed: bool) -> None:
    token = forge(key, {**header_of(key), "alg": algorithm})
    tokens = tokens_of(key)
    assert code_of(tokens, token) == "token_algorithm"
    if not signed:
        unsigned = token.rsplit(".", 1)[0]
        assert code_of(tokens, unsigned + ".") == "token_malformed"
        assert code_of(tokens, unsigned) == "token_malformed"
        assert code_of(tokens, unsigned + ".AA") == "token_algorithm"


def test_no_algorithm_at_all() -> None:
    assert code_of(tokens_of(HS), forge(HS, {"kid": HS.kid, "typ": "at+jwt"})) == "token_algorithm"


@pytest.mark.parametrize("key", [RS, ES], ids=["RS256", "ES256"])
def test_the_public_key_is_not_taken_for_an_hmac_secret(key: JwtKey) -> None:
    public = key.verifying.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = key.verifying.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    jwk = json.dumps(key.jwk).encode()
    for secret in (public, public.strip(), der, jwk):
        content = (
            b64(json.dumps({**header_of(key), "alg": "HS256"}).encode()) + "." + b64(json.dumps(payload()).encode())
        )
        token = content + "." + b64(hmac.digest(secret, content.encode(), "sha256"))
        assert code_of(tokens_of(key), token) == "token_algorithm"
        # Also where HS256 is accepted, for another key.
        assert code_of(tokens_of(key, HS), token) == "token_algorithm"


def test_a_key_is_pinned_to_its_algorithm() -> None:
    tokens = tokens_of(RS, HS, ES)
    for key in (RS, HS, ES):
        for other in (RS, HS, ES):
            if key is other:
                continue
            assert code_of(tokens, forge(key, {**header_of(key), "alg": other.algorithm})) == "token_algorithm"
            assert code_of(tokens, forge(key, {**header_of(key), "kid": other.kid})) == "token_algorithm"
            assert code_of(tokens, forge(key, header_of(other))) == "token_signature"


# --- key and header -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kid",
    [
        "",
        "x",
        "../../../../dev/null",
        "/dev/null",
        "' OR 1=1 --",
        "x\0",
        "\ud83d\ude00",
        HS.kid + " ",
        HS.kid.swapcase(),
        None,
        0,
        True,
        [],
        [HS.kid],
        {},
        {"kid": HS.kid},
    ],
    # Some are random, and processes that share the tests must agree on their names.
    ids=map(str, range(99)),
)
def test_kid_tricks(kid: Any) -> None:
    assert code_of(tokens_of(HS), forge(HS, {**header_of(HS), "kid": kid})) == "token_key_unknown"
    empty_key = forge(HS, {**header_of(HS), "kid": kid}).rsplit(".", 1)[0]
    assert (
        code_of(tokens_of(HS), empty_key + "." + b64(hmac.digest(b"", empty_key.encode(), "sha256")))
        == "token_key_unknown"
    )


def test_no_kid() -> None:
    assert code_of(tokens_of(HS), forge(HS, {"alg": "HS256", "typ": "at+jwt"})) == "token_key_unknown"


@ALL
@pytest.mark.parametrize(
    "extra",
    [
        {"jwk": {"kty": "oct", "k": b64(b"k" * 32)}},
        {"jku": "https://evil.example/jwks.json"},
        {"x5u": "https://evil.example"},
        {"x5c": ["AAAA"]},
        {"x5t": "AAAA"},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"jwk": None},
        {"enc": "A128GCM"},
    ],
)
def test_headers_that_bring_a_key_or_change_the_meaning(key: JwtKey, extra: dict[str, Any]) -> None:
    assert code_of(tokens_of(key), forge(key, {**header_of(key), **extra})) == "token_malformed"


def test_a_key_brought_along_signs_nothing() -> None:
    own = asymmetric_key(pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)), "x")
    tokens = tokens_of(RS)
    assert code_of(tokens, forge(own, {**header_of(RS), "jwk": own.jwk})) == "token_malformed"
    assert code_of(tokens, forge(own)) == "token_key_unknown"
    assert code_of(tokens, forge(own, header_of(RS))) == "token_signature"


@pytest.mark.parametrize(
    "kind", ["JWT", "jwt", "", "rt+jwt", "AT+JWT", "at+jwt ", "application/at+jwt", "dpop+jwt", None, 1, ["at+jwt"]]
)
def test_another_type_of_token(kind: Any) -> None:
    assert code_of(tokens_of(HS), forge(HS, {**header_of(HS), "typ": kind})) == "token_type"


def test_no_type() -> None:
    assert code_of(tokens_of(HS), forge(HS, {"alg": "HS256", "kid": HS.kid})) == "token_type"


@pytest.mark.parametrize("algorithms", [("HS256", "none"), ("none", "HS256"), ("HS256", "HS256")])
def test_a_repeated_header_member_gains_nothing(algorithms: tuple[str, str]) -> None:
    """However well it is signed: two readers might each believe another of the two (RFC 7515, 4)."""
    first, last = algorithms
    raw = f'{{"alg":"{first}","alg":"{last}","kid":"{HS.kid}","typ":"at+jwt"}}'.encode()
    assert code_of(tokens_of(HS), forge(HS, raw_header=raw)) == "token_malformed"


# --- signature ------------------------------------------------------------------------------------------------------


@ALL
def test_every_altered_character_is_refused(key: JwtKey) -> None:
    tokens = tokens_of(key)
    token = tokens.issue(CLAIMS)
    for index in range(len(token)):
        for other in ("A", "B", ".", "="):
            if token[index] == other:
                continue
            code = code_of(tokens, token[:index] + other + token[index + 1 :])
            assert code in ("token_signature", "token_malformed", "token_algorithm", "token_key_unknown", "token_type")


@ALL
def test_a_changed_payload_keeps_no_signature(key: JwtKey) -> None:
    head, _, signature = forge(key).split(".")
    body = b64(json.dumps(payload(role="admin")).encode())
    assert code_of(tokens_of(key), f"{head}.{body}.{signature}") == "token_signature"


@ALL
@pytest.mark.parametrize("signature", [b"\0", b"\0" * 32, b"\0" * 64, b"\0" * 256, b"x" * 1000])
def test_invented_signatures(key: JwtKey, signature: bytes) -> None:
    content = forge(key).rsplit(".", 1)[0]
    assert code_of(tokens_of(key), f"{content}.{b64(signature)}") == "token_signature"


def test_a_cut_or_lengthened_signature() -> None:
    content, signature = forge(HS).rsplit(".", 1)
    raw = base64.urlsafe_b64decode(signature + "=")
    for altered in (raw[:16], raw[:31], raw + b"\0", raw[1:]):
        assert code_of(tokens_of(HS), f"{content}.{b64(altered)}") == "token_signature"


def test_a_weak_secret_is_not_tried() -> None:
    content = forge(HS).rsplit(".", 1)[0]
    for guess in (b"", b"secret", b"changeme", HS.kid.encode(), hashlib.sha256(b"").digest()):
        assert (
            code_of(tokens_of(HS), content + "." + b64(hmac.digest(guess, content.encode(), "sha256")))
            == "token_signature"
        )


# --- syntax ---------------------------------------------------------------------------------------------------------


def whole(change: Callable[[str], str]) -> Any:
    return pytest.param(change)


@pytest.mark.parametrize(
    "change",
    [
        whole(lambda t: ""),
        whole(lambda t: "."),
        whole(lambda t: ".."),
        whole(lambda t: "..."),
        whole(lambda t: "garbage"),
        whole(lambda t: new_token(48)),  # a refresh token, which is opaque
        whole(lambda t: t + "."),
        whole(lambda t: "." + t),
        whole(lambda t: t + ".AAAA"),
        whole(lambda t: t + "=" * (-len(t.rsplit(".")[2]) % 4 or 4)),
        whole(lambda t: t + "\n"),
        whole(lambda t: " " + t),
        whole(lambda t: t.replace(".", ". ")),
        whole(lambda t: t.replace(".", "\n.")),
        whole(lambda t: t + "\0"),
        whole(lambda t: t + "é"),
        whole(lambda t: t + "\ud800"),
        whole(lambda t: t.replace("-", "+").replace("_", "/") + "+/"),
        whole(lambda t: "Bearer " + t),
        whole(lambda t: t.split(".", 1)[1]),
        whole(lambda t: '{"payload":"","signatures":[]}'),
        whole(lambda t: "ａ" + t[1:]),
    ],
)
def test_strict_syntax(change: Callable[[str], str]) -> None:
    tokens = tokens_of(HS)
    assert code_of(tokens, change(tokens.issue(CLAIMS))) == "token_malformed"


def test_a_second_spelling_of_the_same_bytes_is_refused() -> None:
    # 32 bytes leave two unused bits in the last of 43 characters: four spellings decode to the same signature.
    token = forge(HS)
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    last = alphabet.index(token[-1])
    for other in range(last - last % 4, last - last % 4 + 4):
        if other != last:
            assert code_of(tokens_of(HS), token[:-1] + alphabet[other]) == "token_malformed"


@pytest.mark.parametrize(
    "content",
    [
        b"null",
        b"true",
        b"1",
        b'"text"',
        b"[]",
        b"[{}]",
        b"not json",
        b"{",
        b"{}{}",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b"[" * 2000,
        b'{"a":' * 400,
        b"{'a':1}",
    ],
)
def test_parts_that_are_no_json_object(content: bytes) -> None:
    assert code_of(tokens_of(HS), forge(HS, raw=content)) == "token_malformed"
    assert code_of(tokens_of(HS), forge(HS, raw_header=content)) == "token_malformed"


def test_the_length_is_bounded() -> None:
    tokens = tokens_of(HS)
    assert code_of(tokens, "a" * (MAX_LENGTH + 1)) == "token_too_large"
    assert code_of(tokens, "a" * 10_000_000) == "token_too_large"
    assert code_of(tokens, forge(HS, claims=payload(extra="x" * 4000))) == "token_too_large"
    assert code_of(tokens, "a" * MAX_LENGTH) == "token_malformed"


# --- claims ---------------------------------------------------------------------------------------------------------

REQUIRED = ["iss", "aud", "sub", "jti", "exp", "nbf", "iat", "sid", "gen", "role", "scope", "username"]


@ALL
@pytest.mark.parametrize("name", REQUIRED)
def test_every_claim_is_required(key: JwtKey, name: str) -> None:
    claims = payload()
    del claims[name]
    assert code_of(tokens_of(key), forge(key, claims=claims)) == "token_claim_missing"


def test_an_empty_object_is_refused() -> None:
    assert code_of(tokens_of(HS), forge(HS, claims={})) == "token_claim_missing"


@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "gen"])
@pytest.mark.parametrize(
    "value",
    [None, True, False, str(EPOCH + 900), "", float(EPOCH + 900), EPOCH + 0.5, [], [EPOCH], {}, -1, 10**30, 1e300],
)
def test_numbers_are_whole_numbers(name: str, value: Any) -> None:
    assert code_of(tokens_of(HS), forge(HS, claims=payload(**{name: value}))) == "token_claim_invalid"


@pytest.mark.parametrize("name", ["sub", "jti", "iss", "sid", "role", "scope", "username"])
@pytest.mark.parametrize("value", [None, True, 117, 1.5, [], ["117"], {}, {"a": 1}])
def test_strings_are_strings(name: str, value: Any) -> None:
    assert code_of(tokens_of(HS), forge(HS, claims=payload(**{name: value}))) == "token_claim_invalid"


@pytest.mark.parametrize("name", ["sub", "jti", "sid", "role", "username"])
def test_what_identifies_is_not_empty(name: str) -> None:
    assert code_of(tokens_of(HS), forge(HS, claims=payload(**{name: ""}))) == "token_claim_invalid"


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "https://meals.exampl",
        ISSUER + ".evil.example",
        ISSUER + "/",
        ISSUER + "/x",
        "https://meals",
        "http://meals.example",
        ISSUER.upper(),
        " " + ISSUER,
        "https://evil.example/" + ISSUER,
        ISSUER + "\0",
        "https://mеals.example",
    ],
)
def test_the_issuer_is_compared_exactly(issuer: str) -> None:
    assert code_of(tokens_of(HS), forge(HS, claims=payload(iss=issuer))) == "token_issuer"


@pytest.mark.parametrize(
    "audience",
    [
        "",
        ISSUER + "/",
        ISSUER[:-1],
        ISSUER.upper(),
        [],
        [ISSUER + "/"],
        ["https://other.example"],
        [ISSUER, "https://other.example"],
        [ISSUER, ISSUER],
        ISSUER + " https://other.example",
    ],
)
def test_the_audience_is_exactly_ours(audience: Any) -> None:
    assert code_of(tokens_of(HS), forge(HS, claims=payload(aud=audience))) == "token_audience"


@pytest.mark.parametrize("audience", [1, True, {}, {ISSUER: 1}, [1], [None], [[ISSUER]], [ISSUER, 1]])
def test_the_audience_has_the_right_type(audience: Any) -> None:
    assert code_of(tokens_of(HS), forge(HS, claims=payload(aud=audience))) == "token_claim_invalid"


def test_a_list_of_our_audience_alone_is_fine_and_null_is_missing() -> None:
    assert tokens_of(HS).verify(forge(HS, claims=payload(aud=[ISSUER]))).subject == "117"
    assert code_of(tokens_of(HS), forge(HS, claims=payload(aud=None))) == "token_claim_missing"


# --- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "offset", "code"),
    [
        ("exp", -59, None),
        ("exp", -60, "token_expired"),
        ("exp", -100_000, "token_expired"),
        ("nbf", 60, None),
        ("nbf", 61, "token_not_yet_valid"),
        ("nbf", 100_000, "token_not_yet_valid"),
        ("iat", 60, None),
        ("iat", 61, "token_issued_in_future"),
        ("iat", 100_000, "token_issued_in_future"),
    ],
)
def test_times_with_a_leeway_of_a_minute(name: str, offset: int, code: str | None) -> None:
    token = forge(HS, claims=payload(**{name: EPOCH + offset}))
    if code is None:
        assert tokens_of(HS).verify(token).subject == "117"
    else:
        assert code_of(tokens_of(HS), token) == code


def test_the_moment_of_expiry_and_the_longest_number() -> None:
    tokens = tokens_of(HS)
    token = tokens.issue(CLAIMS)
    assert tokens.verify(token, now=NOW + timedelta(seconds=959, milliseconds=999)).subject == "117"
    assert code_of(tokens, token, NOW + timedelta(seconds=960)) == "token_expired"
    assert code_of(tokens, token, NOW - timedelta(seconds=61)) == "token_not_yet_valid"
    assert tokens.verify(forge(HS, claims=payload(exp=2**63))).expires_at == 2**63
    assert code_of(tokens, forge(HS, claims=payload(exp=0))) == "token_expired"


# --- rotation -------------------------------------------------------------------------------------------------------


def test_the_previous_key_is_accepted_until_it_is_taken_out() -> None:
    old = hs256_key(new_token(48))
    token = tokens_of(old).issue(CLAIMS)
    for new in (HS, RS, ES):
        assert tokens_of(new, old).verify(token).subject == "117"
        # Without it a site of another algorithm does not even look for the key.
        assert code_of(tokens_of(new), token) == ("token_key_unknown" if new is HS else "token_algorithm")
        fresh = tokens_of(new, old).issue(CLAIMS)
        assert pyjwt.get_unverified_header(fresh)["kid"] == new.kid


# --- the whole ------------------------------------------------------------------------------------------------------


def test_nothing_but_a_token_error_ever_comes_out() -> None:
    tokens = tokens_of(HS, RS, ES)
    rng = random.Random(9)
    parts = [
        *tokens.issue(CLAIMS).split("."),
        *forge(RS).split("."),
        *forge(ES).split("."),
        b64(b"{}"),
        b64(b"[]"),
        b64(b"null"),
        "",
        "A",
        "AA",
        "=",
        " ",
        "\0",
        "é",
        "\ud800",
        b64(b'{"alg":"none"}'),
        b64(json.dumps({"alg": "HS256", "kid": {}}).encode()),
    ]
    genuine = {".".join(parts[start : start + 3]) for start in (0, 3, 6)}
    accepted = 0
    for _ in range(20_000):
        token = ".".join(rng.choice(parts) for _ in range(rng.choice([1, 2, 3, 3, 3, 3, 4])))
        with suppress(TokenError):
            tokens.verify(token)
            accepted += 1
            assert token in genuine
    assert 0 < accepted < 20


def test_every_error_has_its_own_stable_code() -> None:
    codes = {error.code for error in TokenError.__subclasses__()}
    assert codes == {
        "token_malformed",
        "token_algorithm",
        "token_key_unknown",
        "token_signature",
        "token_expired",
        "token_not_yet_valid",
        "token_issued_in_future",
        "token_issuer",
        "token_audience",
        "token_type",
        "token_claim_missing",
        "token_claim_invalid",
        "token_too_large",
    }
    assert len(TokenError.__subclasses__()) == len(codes)
    assert module.TYPE == "at+jwt"


def test_revocation_is_by_the_id_and_not_by_the_text() -> None:
    # Whoever keeps a list of revoked tokens keeps ids; a token can be sent in one spelling only, and its id is in it.
    tokens = tokens_of(HS)
    first, second = tokens.issue(CLAIMS), tokens.issue(CLAIMS)
    assert hash_token(tokens.verify(first).token_id) != hash_token(tokens.verify(second).token_id)
    assert tokens.verify(first).token_id == tokens.verify(first).token_id
