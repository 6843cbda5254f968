#!/usr/bin/env python3
"""plimsoll against real registries, compared with what skopeo, crane and regctl say of the same images.

All of them on 127.0.0.1: Debian's docker-registry, and where they can be built distribution 3, zot and the registry of
crane; plain, with a password, with TLS of an unknown authority, with client certificates, with tokens.

    registries.py [WORD]...     only the parts whose name has one of these words
"""

import contextlib
import sys
import tempfile
import time

import kinds
import logins
import passwords
import plain
import transport
from authority import Authority
from checks import contents, end_on_signals
from proxies import Proxy
from servers import Crane, Distribution, DockerRegistry, Zot
from suite import Suite
from tokens import TokenServer


def secrets(suite):
    """No password and no token stands in anything that plimsoll printed or kept."""
    words = {logins.PASSWORD, logins.WRONG, logins.REFRESH, Proxy.PASSWORD, *suite.tokens.issued}
    for password in (logins.PASSWORD, logins.WRONG, ""):
        words.add(logins.basic(password))
    said = "\n".join(suite.plimsoll.transcript)
    kept = b"\n".join(contents(suite.work / "home").values())
    leaked = [word[:12] for word in words if word in said or word.encode() in kept]
    suite.checks.equal(leaked, [], f"no secret in the output of {len(suite.plimsoll.transcript)} runs nor in the cache")
    suite.checks.that(not any("panicked" in text for text in suite.plimsoll.transcript), "no run panics")


def one_registry(suite):
    """Debian's docker-registry, in all that can be seen with one."""
    plain.plain(suite, suite.start(DockerRegistry, "plain"))


def logged_in(suite):
    """Passwords and tokens."""
    passwords.passwords(suite, suite.start(DockerRegistry, "basic", login="basic"))
    passwords.tokens(suite, suite.start(DockerRegistry, "bearer", login=suite.tokens))
    passwords.foreign_realm(suite, suite.start(DockerRegistry, "foreign", login=suite.tokens, realm="127.0.0.1"))


def encrypted(suite):
    """TLS and proxies."""
    registry = suite.start(DockerRegistry, "tls", authority=suite.authority)
    transport.tls(suite, registry, suite.stranger)
    transport.proxies(suite, registry, suite.proxy)


PARTS = {
    "one registry": one_registry,
    "passwords and tokens": logged_in,
    "TLS and proxies": encrypted,
    "distribution 3": lambda suite: kinds.kind(suite, Distribution),
    "zot": lambda suite: kinds.kind(suite, Zot),
    "crane": lambda suite: kinds.kind(suite, Crane),
}


def main():
    """Run every part; each starts the registries that it needs, and they end with it."""
    end_on_signals()
    with tempfile.TemporaryDirectory(prefix="plimsoll-interop-") as work, contextlib.ExitStack() as stack:
        suite = Suite(work, stack)
        suite.tokens, suite.proxy = TokenServer(suite.servers / "tokens"), Proxy()
        stack.callback(suite.tokens.stop)
        stack.callback(suite.proxy.stop)
        suite.authority, suite.stranger = (Authority(suite.servers / name, name) for name in ("authority", "stranger"))
        if not suite.client.crane:
            print("registries: crane is not here, skopeo alone is the other word")
        for name, part in PARTS.items():
            if not sys.argv[1:] or any(word in name for word in sys.argv[1:]):
                start, before = time.monotonic(), suite.checks.passed
                with contextlib.ExitStack() as suite.stack:
                    part(suite)
                print(f"registries: {name}: {suite.checks.passed - before} passed in {time.monotonic() - start:.0f} s",
                      flush=True)
        secrets(suite)
        return suite.checks.close()


if __name__ == "__main__":
    sys.exit(main())
