import os
from wsgiref.simple_server import make_server

import jwt

ISSUER = "https://" + os.environ["TEAM"]
AUD = os.environ["AUD"]
keys = jwt.PyJWKClient(f"{ISSUER}/cdn-cgi/access/certs")


def caller(environ):
    token = environ.get("HTTP_CF_ACCESS_JWT_ASSERTION", "")
    key = keys.get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=AUD, issuer=ISSUER,
                        options={"require": ["aud", "exp", "iss"]})
    kind = "certificate" if "cnf" in claims else "service"
    who = claims.get("email") or f"{kind}:{claims['common_name']}"
    if not (who.isascii() and who.isprintable()):
        raise ValueError("the name does not fit into a header")
    return who


def app(environ, start_response):
    try:
        who = caller(environ)
    except (jwt.PyJWTError, KeyError, ValueError) as error:
        start_response("401 Unauthorized", [("Content-Type", "text/plain")])
        return [f"Refused: {error}\n".encode()]
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-User", who)])
    return [f"Hello, {who}\n".encode()]


if __name__ == "__main__":
    make_server("127.0.0.1", int(os.environ["PORT"]), app).serve_forever()
