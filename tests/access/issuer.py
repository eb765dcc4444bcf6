"""An issuer of tokens: real keys, its JWK set, and tokens signed by them."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

ISSUER, AUDIENCE = "https://id.example/", "tidegate"


@cache
def private(algorithm: str) -> PrivateKeyTypes:
    """The key of an algorithm, which is also its `kid`."""
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def public(algorithm: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - members of JSON
    """The public half as a JWK."""
    kind = jwt.get_algorithm_by_name(algorithm)
    described = kind.to_jwk(private(algorithm).public_key(), as_dict=True)
    return {**described, "kid": algorithm, "use": "sig", **members}


def jwks(*algorithms: str) -> bytes:
    return msgspec.json.encode({"keys": [public(algorithm) for algorithm in algorithms]})


def token(
    algorithm: str = "ES256",
    key: PrivateKeyTypes | None = None,
    kid: str | None = None,
    **claims: object,
) -> str:
    """Signed, for `shop` with the scope `ingest`, for a minute; a claim of `...` is left out."""
    now = time.time()
    given = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "shop",
        "scope": "openid ingest",
        "iat": now,
        "exp": now + 60,
    } | claims
    left = {name: value for name, value in given.items() if value is not ...}
    headers = {"kid": algorithm if kid is None else kid}
    return jwt.encode(left, key or private(algorithm), algorithm, headers)
