"""Verifies an application token with PyJWT as an application would, and prints its claims.

usage: verify_token.py CERTS_URL ISSUER AUDIENCE TOKEN
"""

import json
import socket
import sys

import jwt

lookup = socket.getaddrinfo
# Browsers know that *.localhost is this machine (RFC 6761); the C library's resolver does not.
socket.getaddrinfo = lambda host, *rest, **more: lookup(
    "127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)

certs, issuer, audience, token = sys.argv[1:]
key = jwt.PyJWKClient(certs).get_signing_key_from_jwt(token).key
print(json.dumps(jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=issuer)))
