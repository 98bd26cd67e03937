from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mealshare.core.security.jwt_keys import JwtKeys, JwtSettings, asymmetric_key, hs256_key, thumbprint
from mealshare.core.security.tokens import new_token
from mealshare.core.settings import Secret, SettingsError, overlay_environment, parse_settings

SECRET = new_token(48)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def private_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def test_hs256_needs_only_a_secret() -> None:
    keys = JwtKeys.from_settings(parse_settings(JwtSettings, "jwt", {"jwt.secret": SECRET}))
    assert keys.signing.algorithm == "HS256"
    assert keys.jwks() == {"keys": []}


def test_rs256_needs_only_two_settings(tmp_path: Path) -> None:
    raw = {"jwt.algorithm": "RS256", "jwt.private_key_file": write(tmp_path / "jwt.pem", private_pem(RSA))}
    keys = JwtKeys.from_settings(parse_settings(JwtSettings, "jwt", raw))
    assert keys.signing.algorithm == "RS256"
    assert len(keys.jwks()["keys"]) == 1


def test_a_container_secret_gives_the_key_through_the_environment(tmp_path: Path) -> None:
    environ = {
        "MEALSHARE_JWT__ALGORITHM": "ES256",
        "MEALSHARE_JWT__PRIVATE_KEY_FILE": write(tmp_path / "jwt.pem", private_pem(EC)),
    }
    settings = parse_settings(JwtSettings, "jwt", overlay_environment({}, environ))
    assert JwtKeys.from_settings(settings).signing.algorithm == "ES256"


def test_settings_never_print_their_secrets() -> None:
    old = new_token(48)
    raw = {"jwt.secret": SECRET, "jwt.previous_secrets": old, "jwt.private_key": private_pem(RSA).decode()}
    settings = parse_settings(JwtSettings, "jwt", raw)
    printed = repr(settings) + str(settings)
    assert SECRET not in printed
    assert old not in printed
    assert "PRIVATE" not in printed
    key = hs256_key(SECRET)
    assert SECRET not in repr(key) + repr(vars(JwtKeys(key)))


def test_the_kid_of_a_secret_is_stable_and_tells_keys_apart() -> None:
    assert hs256_key(SECRET).kid == hs256_key(SECRET).kid
    assert hs256_key(SECRET).kid != hs256_key(new_token(48)).kid
    assert len(hs256_key(SECRET).kid) == 16
    # It is neither a plain hash of the secret nor a part of it.
    digest = hashlib.sha256(SECRET.encode()).digest()
    assert hs256_key(SECRET).kid != base64.urlsafe_b64encode(digest[:12]).decode()
    assert hs256_key(SECRET).kid not in SECRET


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    # The example of RFC 7638, 3.1.
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    assert thumbprint({"kty": "RSA", "n": n, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("key", [RSA, EC])
def test_a_jwk_is_public_and_another_library_reads_it(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    ours = asymmetric_key(private_pem(key), "x")
    document = JwtKeys(ours).jwks()
    (jwk,) = document["keys"]
    names = {"kty", "use", "alg", "kid"} | ({"n", "e"} if jwk["kty"] == "RSA" else {"crv", "x", "y"})
    assert set(jwk) == names
    read = pyjwt.PyJWKSet.from_json(json.dumps(document)).keys[0]
    assert read.key_id == ours.kid
    assert read.key.public_numbers() == key.public_key().public_numbers()
    assert asymmetric_key(public_pem(key), "x").kid == ours.kid


def test_a_coordinate_with_leading_zeros_keeps_its_32_bytes() -> None:
    for private_value in range(1, 2000):
        key = ec.derive_private_key(private_value, ec.SECP256R1())
        if key.public_key().public_numbers().x < 1 << 248:
            break
    jwk = asymmetric_key(private_pem(key), "x").jwk
    assert jwk is not None
    assert len(jwk["x"]) == len(jwk["y"]) == 43
    assert jwk["x"].startswith("A")


def test_the_document_cannot_be_used_to_change_a_key() -> None:
    keys = JwtKeys(asymmetric_key(private_pem(RSA), "x"))
    keys.jwks()["keys"][0]["n"] = "forged"
    assert keys.jwks()["keys"][0]["n"] != "forged"


def test_rotation_keeps_previous_keys_of_every_kind(tmp_path: Path) -> None:
    older = new_token(48)
    raw = {
        "jwt.algorithm": "ES256",
        "jwt.private_key_file": write(tmp_path / "new.pem", private_pem(EC)),
        "jwt.previous_secrets": f"{SECRET}, {older}",
        "jwt.previous_key_files": write(tmp_path / "old.pem", public_pem(RSA)),
    }
    keys = JwtKeys.from_settings(parse_settings(JwtSettings, "jwt", raw))
    assert {key.algorithm for key in keys.accepted.values()} == {"ES256", "RS256", "HS256"}
    assert len(keys.accepted) == 4
    assert [jwk["alg"] for jwk in keys.jwks()["keys"]] == ["ES256", "RS256"]
    assert keys.jwks()["keys"][0]["kid"] == keys.signing.kid


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (JwtSettings(), ["jwt.secret", "missing"]),
        (JwtSettings(secret=Secret("short")), ["jwt.secret", "weak"]),
        (JwtSettings(secret=Secret(hashlib.md5(b"x").hexdigest())), ["jwt.secret", "weak"]),
        (JwtSettings(secret=Secret(SECRET), previous_secrets=(Secret("old"),)), ["jwt.previous_secrets", "weak"]),
        (JwtSettings(secret=Secret(SECRET), private_key_file="jwt.pem"), ["jwt.private_key", "HS256"]),
        (JwtSettings(algorithm="RS256"), ["jwt.private_key_file", "missing", "openssl"]),
        (JwtSettings(algorithm="RS256", secret=Secret(SECRET)), ["jwt.private_key_file", "missing"]),
        (JwtSettings(algorithm="RS256", private_key_file="/nowhere/x.pem"), ["jwt.private_key_file", "/nowhere/x.pem"]),
        (JwtSettings(algorithm="RS256", private_key=Secret("x"), private_key_file="y"), ["both"]),
        (JwtSettings(algorithm="RS256", private_key=Secret("not a key")), ["jwt.private_key", "PEM"]),
        (JwtSettings(algorithm="RS256", private_key=Secret(private_pem(EC).decode())), ["ES256", "RS256"]),
        (JwtSettings(algorithm="ES256", private_key=Secret(private_pem(RSA).decode())), ["ES256", "RS256"]),
        (JwtSettings(algorithm="RS256", private_key=Secret(public_pem(RSA).decode())), ["public key"]),
    ],
)
def test_a_wrong_setting_stops_the_boot_with_its_name(settings: JwtSettings, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        JwtKeys.from_settings(settings)
    assert all(word in str(caught.value) for word in words)
    assert "BEGIN" not in str(caught.value)


@pytest.mark.parametrize("algorithm", ["none", "None", "HS512", "RS512", "hs256", "PS256", ""])
def test_another_algorithm_stops_the_boot(algorithm: str) -> None:
    with pytest.raises(SettingsError, match=r"jwt\.algorithm"):
        parse_settings(JwtSettings, "jwt", {"jwt.algorithm": algorithm, "jwt.secret": SECRET})


def test_weak_and_foreign_keys_are_refused() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    with pytest.raises(SettingsError, match="1024 bits"):
        asymmetric_key(private_pem(weak), "x")
    with pytest.raises(SettingsError, match="1024 bits"):
        asymmetric_key(public_pem(weak), "x")
    with pytest.raises(SettingsError, match="P-256"):
        asymmetric_key(private_pem(ec.generate_private_key(ec.SECP384R1())), "x")
    with pytest.raises(SettingsError, match="neither RSA nor elliptic"):
        asymmetric_key(private_pem(ed25519.Ed25519PrivateKey.generate()), "x")
    locked = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
    with pytest.raises(SettingsError, match="passphrase"):
        asymmetric_key(locked, "x")
    with pytest.raises(SettingsError, match="PEM"):
        asymmetric_key(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "x")
