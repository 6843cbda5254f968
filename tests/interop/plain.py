"""What only needs one registry to be seen: names, platforms, what is missing, what moved, what is damaged."""

import json
import re
import shutil

from checks import FIXTURES, contents, identities
from suite import BY_TEXT, FRESH, LENIENT, Scene, full_circle, rules_of, verdicts


def plain(suite, registry):
    """Every fixture image, and what only needs one registry to be seen."""
    checks = suite.checks
    suite.push(registry, suite.images)
    insecure = [{"prefix": registry.host, "insecure": True}]
    full_circle(suite, registry, list(suite.images), insecure)
    # A registry on this machine needs no setting, as with Docker.
    scene = Scene(suite)
    scene.manifest([f"{registry.host}/library/nginx:1.25"])
    scene.expect(0, "plain: pin without settings", "pin")

    untagged(suite, registry, insecure)
    missing(suite, registry, insecure)
    platforms(suite, registry, insecure)
    asked_once(suite, registry, insecure)
    moved_tag(suite, registry, insecure)
    quickstart(suite, registry)
    damaged(suite, registry, insecure)

    scene = Scene(suite, insecure, rules=LENIENT)
    scene.manifest([f"{registry.host}/library/nginx:1.25"])
    before = len(registry.requests())
    report = scene.expect(3, "plain: --offline leaves undecided what no layout answers", "check", "--offline")
    checks.equal(verdicts(report), ["undecided"], "plain: --offline: the verdict")
    checks.equal(len(registry.requests()), before, "plain: --offline asks no registry")


def untagged(suite, registry, settings):
    """A name alone means latest, and the tag is written when it is pinned."""
    scene = Scene(suite, settings)
    name = f"{registry.host}/library/busybox"
    digest = suite.images["library/busybox:latest"]["digest"]
    scene.manifest([name, f"{name}@{digest}"])
    scene.expect(0, "untagged: pin", "pin")
    suite.checks.equal(scene.images(), [f"{name}:latest@{digest}", f"{name}@{digest}"],
                       "untagged: pinned with its tag; a name with a digest alone is kept")
    scene.run("unpin")
    suite.checks.equal(scene.images(), [f"{name}:latest", f"{name}@{digest}"],
                       "untagged: unpin takes the digest off where a tag stands beside it")
    scene.rules("mutable-tag: {}\n        " + LENIENT)
    scene.manifest([name])
    scene.expect(1, "untagged: mutable-tag denies it", "pin")
    suite.checks.equal(scene.images(), [name], "untagged: what is denied is not pinned")


def missing(suite, registry, settings):
    """What the registry does not have is denied by `exists`, and its neighbours are still pinned."""
    checks = suite.checks
    digest = suite.images["library/nginx:1.25"]["digest"]
    good = f"{registry.host}/library/nginx:1.25"
    other = suite.images["library/redis:7.2"]["digest"]
    cases = {"no such tag": "library/nginx:9.9", "no such repository": "acme/nothing:1",
             "no such digest": f"library/nginx@sha256:{'a' * 64}",
             "another repository's digest": f"library/nginx:1.25@{other}"}
    for case, name in cases.items():
        scene = Scene(suite, settings, rules=LENIENT)
        scene.manifest([good, f"{registry.host}/{name}"])
        report = scene.expect(1, f"{case}: check denies", "check")
        checks.equal(rules_of(report, "violated"), sorted({"exists", "pinned-digest"} if report["references"] else {}),
                     f"{case}: by exists")
        checks.equal(verdicts(report), ["allow", "deny"], f"{case}: the verdicts")
        scene.expect(1, f"{case}: pin denies", "pin")
        checks.equal(scene.images(), [f"{good}@{digest}", f"{registry.host}/{name}"],
                     f"{case}: the other image is pinned, this one is left alone")
    scene = Scene(suite, settings)
    scene.manifest([good, f"{registry.host}/library/nginx:9.9"])
    original = contents(scene.tree)
    ran = scene.run("pin", "--no-policy")
    checks.equal(ran.code, 1, "no such tag: pin --no-policy", ran)
    with_pin = {**original, "k8s/app.yaml": original["k8s/app.yaml"].replace(good.encode(), f"{good}@{digest}".encode(), 1)}
    checks.that(contents(scene.tree) in (original, with_pin), "no such tag: pin --no-policy leaves it as it is", ran)


def platforms(suite, registry, settings):
    """`pin --platform` pins the child of the index that crane and the index itself name."""
    checks = suite.checks
    for name in ("library/nginx:1.25", "library/redis:7.2"):
        index = json.loads(suite.client.raw(registry, name))
        for wanted in ("linux/amd64", "linux/arm64/v8"):
            system, architecture, *variant = wanted.split("/")
            child = [entry["digest"] for entry in index["manifests"]
                     if (entry["platform"]["os"], entry["platform"]["architecture"]) == (system, architecture)
                     and [entry["platform"].get("variant")] * len(variant) == variant]
            checks.equal(len(child), 1, f"platforms: one child of {name} is {wanted}")
            if suite.client.crane:
                checks.equal(suite.client.crane_digest(registry, name, wanted), child[0],
                             f"platforms: crane's child of {name} for {wanted}")
            scene = Scene(suite, settings)
            scene.manifest([f"{registry.host}/{name}"])
            ran = scene.run("pin", "--no-policy", "--platform", wanted)
            checks.equal((ran.code, scene.images()), (0, [f"{registry.host}/{name}@{child[0]}"]),
                         f"platforms: pin --platform {wanted} of {name}", ran)


def asked_once(suite, registry, settings):
    """One reference is resolved once in a run, however often it is written."""
    scene = Scene(suite, settings)
    name = "library/postgres:16"
    for number in range(20):
        scene.manifest([f"{registry.host}/{name}"] * 5, f"k8s/{number}.yaml")
    before = len(registry.requests())
    scene.expect(0, "asked once: pin a hundred references", "pin")
    asked = [path for _, path, _ in registry.requests()[before:] if "/manifests/16" in path]
    suite.checks.equal(len(asked), 1, "asked once: requests for a tag that is written a hundred times")


def moved_tag(suite, registry, settings):
    """A tag that skopeo moves between two pins."""
    checks, client = suite.checks, suite.client
    name = "acme/moving:1"
    old, new = suite.images["acme/shop-api:1.24-old"]["digest"], suite.images["acme/shop-api:1.24"]["digest"]
    client.push(registry, suite.source("acme/shop-api:1.24-old"), name)
    scene = Scene(suite, settings, rules=BY_TEXT)
    written = f"{registry.host}/{name}"
    scene.manifest([written])
    scene.expect(0, "a moved tag: the first pin", "pin")
    checks.equal(scene.images(), [f"{written}@{old}"], "a moved tag: pinned to what it named first")

    client.push(registry, suite.source("acme/shop-api:1.24"), name)
    checks.equal(client.digest(registry, name), new, "a moved tag: skopeo sees the new digest")
    files = identities(scene.tree)
    scene.expect(0, "a moved tag: the second pin", "pin")
    checks.equal(identities(scene.tree), files, "a moved tag: pin keeps the digest")
    scene.expect(0, "a moved tag: check without tag-digest-match", "check")
    scene.rules(FRESH)
    report = scene.expect(1, "a moved tag: check with tag-digest-match", "check")
    checks.equal(rules_of(report, "violated"), ["tag-digest-match"], "a moved tag: denied by tag-digest-match")
    scene.expect(1, "a moved tag: pin does not judge it better", "pin")
    checks.equal(scene.images(), [f"{written}@{old}"], "a moved tag: and leaves it")
    ran = scene.run("pin", "--update", "--check")
    checks.equal((ran.code, scene.images()), (1, [f"{written}@{old}"]), "a moved tag: pin --update --check writes nothing", ran)
    scene.expect(0, "a moved tag: pin --update", "pin", "--update")
    checks.equal(scene.images(), [f"{written}@{new}"], "a moved tag: pin --update moves the digest")
    scene.expect(0, "a moved tag: check after --update", "check")


def quickstart(suite, registry):
    """The quick start, with a real registry in place of its folder, ends in the same verdicts."""
    scene = Scene(suite, [{"prefix": "*", "mirrors": [f"http://{registry.host}"], "only-mirrors": True}])
    shutil.copytree(FIXTURES / "quickstart" / "k8s", scene.tree / "k8s", dirs_exist_ok=True)
    policy = (FIXTURES / "quickstart" / "plimsoll.yaml").read_text()
    (scene.tree / "plimsoll.yaml").write_text(policy.split("\n---\n")[0] + "\n")
    ran, report = scene.report("check", "--now", "2026-11-20T00:00:00Z")
    found = []
    for number, row in enumerate(report["references"]):
        of = {status: sorted(finding["rule"] for finding in report["findings"]
                             if (finding["reference"], finding["level"], finding["status"]) == (number, *status))
              for status in [("deny", "violated"), ("deny", "undecided"), ("warn", "violated"), ("deny", "excepted")]}
        found.append({"file": row["file"], "line": row["line"], "text": row["text"], "verdict": row["verdict"],
                      "rules": of["deny", "violated"] + of["deny", "undecided"], "warns": of["warn", "violated"],
                      "excepted": of["deny", "excepted"]})
    wanted = [{**{key: row[key] for key in ("file", "line", "text", "verdict", "rules", "warns")},
               "excepted": row.get("excepted", [])}
              for row in json.loads((FIXTURES / "quickstart.expected.json").read_bytes())]
    suite.checks.equal((ran.code, found), (1, wanted), "the quick start on a real registry", ran.err)


def damaged(suite, registry, settings):
    """A registry whose disk changed one byte of a child's manifest: what does not hash to its digest is not believed."""
    name = "acme/shop-worker:1.24"
    scene = Scene(suite, settings, rules="image-size: {max: 1MiB}")
    scene.manifest([f"{registry.host}/{name}"])
    child = json.loads(suite.client.raw(registry, name))["manifests"][1]["digest"].split(":")[1]
    blob = registry.folder / "store/docker/registry/v2/blobs/sha256" / child[:2] / child / "data"
    whole = blob.read_bytes()
    for case, data in {"smaller layers": re.sub(rb'("size":)[0-9]', rb"\g<1>1", whole), "cut": whole[:-1]}.items():
        blob.write_bytes(data)
        other = Scene(suite, settings, rules="image-size: {max: 1MiB}")
        other.manifest([f"{registry.host}/{name}"])
        report = other.expect(3, f"a damaged manifest ({case}): check", "check")
        suite.checks.equal(verdicts(report), ["undecided"], f"a damaged manifest ({case}): the verdict")
    blob.write_bytes(whole)
    scene.expect(0, "a damaged manifest: check once it is whole again", "check")
