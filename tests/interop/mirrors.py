"""Mirrors: in order, down, without the image, below a path, and one that fetches what it lacks from the registry behind."""

import servers
from suite import FEW, LENIENT, Scene, rules_of, undecided, verdicts

IMAGE = "library/nginx:1.25"


def hub(*places, only=True):
    """The settings of Docker Hub with these mirrors."""
    return [{"prefix": "docker.io", "mirrors": [f"http://{place}" for place in places], "only-mirrors": only}]


def mirrors(suite, registry, other):
    """Two registries, of which one is another's mirror, or both are mirrors of one that is never asked."""
    checks, digest = suite.checks, suite.images[IMAGE]["digest"]
    suite.push(registry, FEW)
    suite.client.push(registry, suite.source(IMAGE), f"hub/{IMAGE}")
    suite.client.push(other, suite.source("library/busybox:1.36"), "library/busybox:1.36")
    down, whole, empty = f"localhost:{servers.free_port()}", registry.host, other.host
    good = {
        "a mirror": [whole], "a mirror that is down, then one that is not": [down, whole],
        "a mirror without the image, then one with it": [empty, whole],
        "a mirror below a path": [f"{whole}/hub"],
        "a path that has nothing, down, and one with it": [f"{whole}/nothing", down, whole],
    }
    for case, places in good.items():
        scene = Scene(suite, hub(*places))
        scene.manifest(["nginx:1.25", "docker.io/library/nginx:1.25"])
        scene.expect(0, f"mirrors: {case}: pin", "pin")
        checks.equal(scene.images(), [f"nginx:1.25@{digest}", f"docker.io/library/nginx:1.25@{digest}"],
                     f"mirrors: {case}: the names stay as written")
        report = scene.expect(0, f"mirrors: {case}: check", "check")
        checks.equal({row["image"].split("@")[0] for row in report["references"]}, {"docker.io/library/nginx:1.25"},
                     f"mirrors: {case}: the image is known by the name that was asked for")

    first = Scene(suite, hub(whole, empty))
    first.manifest(["nginx:1.25"])
    before = len(other.requests())
    first.expect(0, "mirrors: the first one has it: pin", "pin")
    checks.equal(len(other.requests()), before, "mirrors: the second is not asked when the first one has it")

    # Nobody who can say so says that there is none.
    for case, places in {"all down": [down], "down, and one without it": [down, empty],
                         "one without it, and down": [empty, down]}.items():
        scene = Scene(suite, hub(*places), rules=LENIENT)
        scene.manifest(["nginx:1.25"])
        undecided(scene, f"mirrors: {case}")
    scene = Scene(suite, hub(empty, f"{whole}/nothing"), rules=LENIENT)
    scene.manifest(["nginx:1.25"])
    report = scene.expect(1, "mirrors: none has it: check", "check")
    checks.equal((verdicts(report), "exists" in rules_of(report, "violated")), (["deny"], True),
                 "mirrors: none has it: denied by exists")
    itself(suite, registry, other)


def itself(suite, registry, other):
    """Without only-mirrors, the registry itself is asked last; here one that is on this machine too."""
    settings = [{"prefix": registry.host, "insecure": True, "mirrors": [f"http://{other.host}"]}]
    scene = Scene(suite, settings)
    scene.manifest([f"{registry.host}/{IMAGE}"])
    before, asked = len(other.requests()), len(registry.requests())
    scene.expect(0, "mirrors: then the registry itself: pin", "pin")
    suite.checks.equal(scene.images(), [f"{registry.host}/{IMAGE}@{suite.images[IMAGE]['digest']}"],
                       "mirrors: then the registry itself: pinned")
    suite.checks.that(len(other.requests()) > before and len(registry.requests()) > asked,
                      "mirrors: then the registry itself: both were asked")


def pull_through(suite, behind, kind):
    """A registry that is a cache of another one, as the mirror of a name that nobody here can reach."""
    mirror = suite.start(kind, f"{kind.__name__.lower()}-through", proxy=behind)
    digest = suite.images[IMAGE]["digest"]
    before = len(behind.requests())
    scene = Scene(suite, hub(mirror.host), rules="image-size: {max: 500MiB}\n        " + LENIENT)
    scene.manifest(["nginx:1.25", "redis:7.2"])
    scene.expect(0, f"{mirror.name}: check with content", "check")
    suite.checks.that(len(behind.requests()) > before, f"{mirror.name}: fetches what it lacks")
    scene.rules(LENIENT)
    scene.expect(0, f"{mirror.name}: pin", "pin")
    suite.checks.equal(scene.images(), [f"nginx:1.25@{digest}", f"redis:7.2@{suite.images['library/redis:7.2']['digest']}"],
                       f"{mirror.name}: pinned")
    scene = Scene(suite, hub(mirror.host), rules=LENIENT)
    scene.manifest(["nginx:9.9"])
    report = scene.expect(1, f"{mirror.name}: what neither has: check", "check")
    suite.checks.that("exists" in rules_of(report, "violated"), f"{mirror.name}: what neither has: by exists")
