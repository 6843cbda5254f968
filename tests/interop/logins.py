"""The user of every registry here, what it has for a password, and where that is written."""

import base64

USER = "gate"
PASSWORD = "correct-horse-of-the-interop-suite"
WRONG = "wrong-horse-of-the-interop-suite"
REFRESH = "refresh-token-of-the-interop-suite"
# `htpasswd -nbB -C 5 gate PASSWORD`, written down because not every machine can make bcrypt
HTPASSWD = "gate:$2y$05$plimsollinteropsuite.upXzEUC0cB34MfHaAlac3tvW6gcfJnKi\n"


def basic(password=PASSWORD):
    """User and password as they go over the wire."""
    return base64.b64encode(f"{USER}:{password}".encode()).decode()


def auths(host, password=PASSWORD):
    """Docker's config.json with a password in it."""
    return {"auths": {host: {"auth": basic(password)}}}
