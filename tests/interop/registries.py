#!/usr/bin/env python3
"""plimsoll against real registries, compared with what skopeo, crane and regctl say of the same images.

All of them on 127.0.0.1: Debian's docker-registry, and where they can be built distribution 3, zot and the registry of
crane; plain, with a password, with TLS of an unknown authority, with client certificates, with tokens.

    registries.py [WORD]...     only the parts whose name has one of these words
"""

import contextlib
import shutil
import sys
import tempfile
import time

import frugality
import keeping
import kinds
import logins
import machine
import mirrors
import passwords
import plain
import referring
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
    for realm in ("localhost", "127.0.0.1"):
        registry = suite.start(DockerRegistry, f"foreign-{realm}", login=suite.tokens, realm=realm)
        passwords.foreign_realm(suite, registry)


def encrypted(suite):
    """TLS and proxies."""
    registry = suite.start(DockerRegistry, "tls", authority=suite.authority)
    transport.tls(suite, registry, suite.stranger)
    transport.proxies(suite, registry, suite.proxy)


def counted(suite):
    """Request counts, open and with tokens."""
    frugality.frugality(suite, suite.start(DockerRegistry, "open-counted"))
    for kind in (DockerRegistry, Distribution, Zot):
        if kind.here():
            frugality.frugality(suite, suite.start(kind, f"{kind.__name__.lower()}-counted", login=suite.tokens))


def mirrored(suite):
    """Mirrors, of two kinds where there are two."""
    kind = Distribution if Distribution.here() else DockerRegistry
    registry, other = suite.start(DockerRegistry, "mirrored"), suite.start(kind, "mirror")
    mirrors.mirrors(suite, registry, other)
    machine.registries_conf(suite, registry, other)
    for through in (DockerRegistry, Distribution):
        if through.here():
            mirrors.pull_through(suite, registry, through)


def certified(suite):
    """Registries that want a certificate."""
    for kind in (DockerRegistry, Distribution, Zot):
        if kind.here():
            machine.client_certificates(suite, kind)


def referred(suite):
    """Referrers by either way."""
    if not shutil.which("regctl"):
        print("registries: regctl is not here: nothing is shown of referrers", flush=True)
        return
    for kind, way in ((DockerRegistry, "fallback-tag"), (Distribution, "fallback-tag"), (Zot, "api"), (Crane, "fallback-tag")):
        if kind.here():
            referring.referring(suite, suite.start(kind, f"{kind.__name__.lower()}-referred"), way)


def kept(suite):
    """The disk cache and vendored layouts."""
    for kind in (DockerRegistry, Zot):
        if kind.here():
            registry = suite.start(kind, f"{kind.__name__.lower()}-kept")
            keeping.cache(suite, registry, kinds.readable(suite, kind))
            keeping.vendor(suite, registry, kinds.readable(suite, kind))


PARTS = {
    "one registry": one_registry,
    "passwords and tokens": logged_in,
    "TLS and proxies": encrypted,
    "distribution 3": lambda suite: kinds.kind(suite, Distribution),
    "zot": lambda suite: kinds.kind(suite, Zot),
    "crane": lambda suite: kinds.kind(suite, Crane),
    "request counts": counted,
    "mirrors": mirrored,
    "client certificates": certified,
    "referrers": referred,
    "cache and vendor": kept,
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
