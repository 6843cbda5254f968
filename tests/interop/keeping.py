"""The disk cache, and `vendor`: what is kept on this machine is asked for no more, and answers for nothing else."""

import json
import subprocess
from collections import Counter

from suite import LENIENT, Scene, verdicts

CONTENT = "image-size: {max: 500MiB}\n        " + LENIENT
NOW = "2026-11-20T00:00:00Z"


def cache(suite, registry, names):
    """A second run asks by HEAD alone; what was changed on the disk is fetched anew; --no-cache asks for all of it."""
    if "--no-cache" not in suite.plimsoll.help("check"):
        return
    checks, what = suite.checks, f"{registry.name}: cache"
    suite.push(registry, names)
    scene = Scene(suite, suite.settings(registry), rules=CONTENT)
    scene.manifest([f"{registry.host}/{name}" for name in names])

    def asked(case, *more):
        before = len(registry.requests())
        report = scene.expect(0, f"{what}: {case}", "check", "--now", NOW, *more)
        checks.equal(set(verdicts(report)), {"allow"}, f"{what}: {case}: the verdicts")
        return Counter(method for method, _, _ in registry.requests()[before:]), report

    first, fresh = asked("the first run")
    checks.that(first["GET"] > len(names), f"{what}: the first run fetches manifests and what they name", first)
    again, kept = asked("the second run")
    checks.equal(again, {"HEAD": len(names)}, f"{what}: the second run asks for the tags alone, by HEAD")
    checks.equal(kept["references"], fresh["references"], f"{what}: the same answers but for how they are known")
    without, _ = asked("--no-cache", "--no-cache")
    checks.equal(without["GET"], first["GET"], f"{what}: --no-cache fetches all of it")
    blobs = [path for path in scene.cache().glob("*/blobs/sha256/*") if len(path.name) == 64]
    checks.that(blobs, f"{what}: blobs are named by their digests", list(scene.cache().rglob("*"))[:5])
    for path in blobs:
        path.write_bytes(path.read_bytes().replace(b"sha256:", b"sha256:0", 1)[:path.stat().st_size])
    changed, mended = asked("blobs that were changed on the disk")
    checks.that(changed["GET"] > 0, f"{what}: changed blobs are fetched anew", changed)
    checks.equal(mended["references"], fresh["references"], f"{what}: changed blobs change no answer")
    again, _ = asked("after that")
    checks.equal(again, {"HEAD": len(names)}, f"{what}: what was fetched anew is kept")


def vendor(suite, registry, names):
    """What `vendor` writes answers the same check without a network, and is a layout that skopeo reads."""
    if not suite.plimsoll.knows("vendor"):
        return
    checks, what = suite.checks, f"{registry.name}: vendor"
    suite.push(registry, names)
    texts = [f"{registry.host}/{name}" for name in names]
    scene = Scene(suite, suite.settings(registry), rules=CONTENT)
    scene.manifest(texts)
    online = scene.run("check", "--now", NOW, "--format", "json")
    out = scene.tree.parent / "vendored"
    ran = scene.run("vendor", out, ".")
    checks.equal((online.code, ran.code), (0, 0), f"{what}: check and vendor", f"{online}\n{ran}")
    if ran.code:
        return
    registry_of_one = [{"prefix": registry.host, "layout": str(out)}]
    scene.config.write_text(json.dumps({"apiVersion": "plimsoll.dev/v1", "kind": "GateConfig",
                                        "spec": {"registries": registry_of_one}}))
    before = len(registry.requests())
    offline = scene.run("check", "--now", NOW, "--format", "json", "--offline")
    checks.equal(offline.code, 0, f"{what}: the same check offline", offline)
    checks.equal(len(registry.requests()), before, f"{what}: which asks no registry")
    if offline.code == 0:
        found, wanted = json.loads(offline.out), json.loads(online.out)
        checks.equal((found["references"], found["findings"]), (wanted["references"], wanted["findings"]),
                     f"{what}: the same answers")
    for name, text in zip(names, texts):
        if "docker" in suite.images[name]["mediaType"]:
            continue  # skopeo reads no Docker media types out of a layout
        read = subprocess.run(["skopeo", "--insecure-policy", "inspect", "--raw", f"oci:{out}:{text}"], capture_output=True)
        checks.equal(read.stdout, suite.client.raw(registry, name), f"{what}: skopeo reads {name} in it", read.stderr)
