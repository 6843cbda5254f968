"""Every kind of registry goes through what a team does with one: plain, TLS, client certificates, passwords, tokens."""

import logins
import plain
from servers import Crane, Zot
from suite import BY_TEXT, FEW, LENIENT, Scene, full_circle, rules_of, undecided


def kind(suite, server):
    """All ways in which one kind of registry can be asked."""
    if not server.here():
        print(f"registries: {server.program} is not here: nothing is shown of it", flush=True)
        return
    name = server.__name__.lower()
    names = readable(suite, server)
    open_to_all = suite.start(server, name)
    suite.push(open_to_all, names)
    settings = suite.settings(open_to_all)
    full_circle(suite, open_to_all, names, settings)
    plain.missing(suite, open_to_all, settings)
    plain.asked_once(suite, open_to_all, settings)
    if server is Zot:
        dropped(suite, open_to_all, settings)
    else:
        plain.moved_tag(suite, open_to_all, settings)
        plain.quickstart(suite, open_to_all)
    if server is Crane:  # it has neither TLS nor logins
        return
    few = [name for name in FEW if name in names]
    encrypted(suite, server, name, few)
    passwords(suite, server, name, few)
    tokens(suite, server, name, few)


def dropped(suite, registry, settings):
    """A registry that drops what no tag names any more: the pinned digest is not there, and --update finds the new one."""
    name = "acme/moving:1"
    old, new = (suite.images[f"acme/shop-api:{tag}"]["digest"] for tag in ("1.24-old", "1.24"))
    suite.client.push(registry, suite.source("acme/shop-api:1.24-old"), name)
    scene = Scene(suite, settings, rules=BY_TEXT)
    written = f"{registry.host}/{name}"
    scene.manifest([written])
    scene.expect(0, f"{registry.name}: a dropped digest: the first pin", "pin")
    suite.client.push(registry, suite.source("acme/shop-api:1.24"), name)
    report = scene.expect(1, f"{registry.name}: a dropped digest: check", "check")
    suite.checks.equal(rules_of(report, "violated"), ["exists"], f"{registry.name}: a dropped digest: by exists")
    suite.checks.equal(scene.images(), [f"{written}@{old}"], f"{registry.name}: a dropped digest: as it was")
    scene.expect(0, f"{registry.name}: a dropped digest: pin --update", "pin", "--update")
    suite.checks.equal(scene.images(), [f"{written}@{new}"], f"{registry.name}: a dropped digest: moved")


def readable(suite, server):
    """The images that a registry takes: this zot knows OCI's media types alone."""
    return [name for name, entry in suite.images.items() if server is not Zot or "docker" not in entry["mediaType"]]


def encrypted(suite, server, name, names):
    """TLS of an authority that only the settings name."""
    registry = suite.start(server, f"{name}-tls", authority=suite.authority)
    suite.push(registry, names)
    full_circle(suite, registry, names, [{"prefix": registry.host, "ca": str(suite.authority.certificate)}])
    for case, settings in {"no authority": [], "another authority": [{"prefix": registry.host,
                                                                      "ca": str(suite.stranger.certificate)}]}.items():
        scene = Scene(suite, settings, rules=LENIENT)
        scene.manifest([f"{registry.host}/{one}" for one in names])
        undecided(scene, f"{registry.name}: {case}")


def passwords(suite, server, name, names):
    """A password out of Docker's config.json."""
    registry = suite.start(server, f"{name}-basic", login="basic")
    suite.push(registry, names)
    settings = suite.settings(registry)
    full_circle(suite, registry, names, settings, logins.auths(registry.host))
    wrong(suite, registry, names, settings)


def tokens(suite, server, name, names):
    """A token for a password, which the registry verifies by the certificate of the token server."""
    registry = suite.start(server, f"{name}-bearer", login=suite.tokens)
    suite.push(registry, names)
    settings = suite.settings(registry)
    full_circle(suite, registry, names, settings, logins.auths(registry.host))
    wrong(suite, registry, names, settings)


def wrong(suite, registry, names, settings):
    """Without a password, and with a wrong one, nothing is decided."""
    for case, login in {"no password": None, "a wrong password": logins.auths(registry.host, logins.WRONG)}.items():
        scene = Scene(suite, settings, login, rules=LENIENT)
        scene.manifest([f"{registry.host}/{one}" for one in names])
        undecided(scene, f"{registry.name}: {case}")
