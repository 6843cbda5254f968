"""How often a registry is asked, by the registry's own log."""

from collections import Counter

import logins
from raw import Pusher
from suite import Scene

MANY = 100


def frugality(suite, registry):
    """A hundred repositories, and a hundred tags of one; with a token for each repository, or none."""
    bearer = registry.login is suite.tokens and suite.tokens
    pusher = Pusher(registry, bearer)
    login = logins.auths(registry.host) if bearer else None
    cases = {"a hundred repositories": ([f"many/r{number}:1" for number in range(MANY)], 201 if bearer else MANY),
             "a hundred tags of one": ([f"many/one:{number}" for number in range(MANY)], 102 if bearer else MANY)}
    for case, (names, most) in cases.items():
        wanted = {f"{registry.host}/{name}": pusher.push(*name.rsplit(":", 1)) for name in names}
        for command in commands(suite, wanted):
            counted(suite, registry, f"{registry.name}: {case}: {command[0]}", command, wanted, most, login)


def commands(suite, wanted):
    """What asks for nothing but the digests."""
    found = [["pin", "--no-policy"]]
    if suite.plimsoll.knows("resolve"):
        found.append(["resolve", *wanted])
    return found


def counted(suite, registry, what, command, wanted, most, login):
    """One command: the right digests, by no more requests than it takes, token requests among them."""
    scene = Scene(suite, suite.settings(registry), login)
    scene.manifest(wanted)
    before, tokens = len(registry.requests()), len(suite.tokens.asked)
    ran = scene.run(*command)
    suite.checks.equal(ran.code, 0, what, ran)
    asked = registry.requests()[before:]
    number = len(asked) + len(suite.tokens.asked) - tokens
    kinds = Counter((method, status) for method, _, status in asked)
    suite.checks.that(number <= most, f"{what}: at most {most} requests", f"{number}: {kinds}")
    suite.checks.that(not any(path.rstrip("/") == "/v2" for _, path, _ in asked), f"{what}: no ping")
    suite.checks.equal({method for method, _, _ in asked}, {"HEAD"}, f"{what}: heads alone", kinds)
    suite.checks.that(kinds["HEAD", 401] <= 1, f"{what}: one challenge at most", kinds)
    said = scene.images() if command[0] == "pin" else ran.out.split()
    suite.checks.equal(said, [f"{name}@{digest}" for name, digest in wanted.items()], f"{what}: the digests")
