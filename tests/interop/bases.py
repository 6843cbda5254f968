#!/usr/bin/env python3
"""Images that real builders built on real bases: what plimsoll says they are built on, what regctl says, and what is so.

    bases.py [--table]     with --table, a Markdown table of all answers on standard output

The images are built here by buildah, BuildKit, umoci, crane, regctl, skopeo and ko; the truth is written down as they
are built, and proved by the layers before anything is asked.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter

from builders.factory import ALPINE, AMD64, BASES, DEBIAN, GOLANG, REDHAT, STATIC, Factory, diff_ids, layers
from builders.programs import NEEDED, Programs, manifests
from checks import FIXTURES, Checks, end_on_signals
from servers import Crane, DockerRegistry, Zot
from suite import NAME, Scene, Suite

MANY = 50

PROVED, CLAIMED, NONE, CONTRADICTED = "proved", "claimed", "none", "contradicted"
MATCHES, CHANGED, SILENT = "matches", "changed", "no answer"

INDEX = "plimsoll: the builder annotates the digest of one platform, and regctl compares it with that of the tag's index"
CHILD = "both; regctl, without annotations, only when it is told the base"
EMPTY = "plimsoll: the base itself was annotated with nothing, and that was inherited"
INHERITED = "plimsoll: the annotations are the base's own, and name the base below it"
PACKED = "plimsoll: the layers are the same when unpacked, and regctl compares the packed ones"
ONE_LAYER = "both: no layer of the base is left; plimsoll adds that the annotation can't be shown to be so"
GONE = "both: no layer of the base is left"
NO_DIGEST = "plimsoll: the annotated digest is that of an intermediate image, which nobody pushed"
STALE = "both: the tag moved; plimsoll shows what it moved from as well"
LIE = "plimsoll: regctl takes the annotations at their word"
BARE = "both: there is no base"


class Row:
    """What must be said of an image.

    `alone` is how sure plimsoll is of its best answer without candidates, and `searched` with every base as a candidate:
    "none" where nothing is known, "contradicted" where all that is known is that a claim is false. Where it is "proved",
    the base must be the true one. `plain` and `told` are what regctl says of the annotations, and of `base` (the true
    one, where there is one) when it is told that. `right` says who is right.
    """

    def __init__(self, alone, searched, plain, told, right, base=None):
        self.alone, self.searched, self.plain, self.told, self.right, self.base = alone, searched, plain, told, right, base


ROWS = {
    "buildah": Row(PROVED, PROVED, CHANGED, MATCHES, INDEX),
    "buildah-layers": Row(CLAIMED, PROVED, CHANGED, MATCHES, NO_DIGEST),
    "buildah-squash": Row(CONTRADICTED, CONTRADICTED, CHANGED, CHANGED, ONE_LAYER),
    "buildah-docker": Row(NONE, PROVED, SILENT, MATCHES, CHILD),
    "buildah-recompressed": Row(CLAIMED, PROVED, CHANGED, CHANGED, PACKED),
    "buildah-far": Row(CLAIMED, PROVED, CHANGED, MATCHES, "plimsoll: it asks another registry than the image's "
                       "only when it is told to"),
    "buildah-two-levels": Row(PROVED, PROVED, MATCHES, MATCHES, "both"),
    "buildah-docker-two-levels": Row(NONE, PROVED, SILENT, MATCHES, CHILD),
    "buildah-on-docker": Row(PROVED, PROVED, MATCHES, MATCHES, "both"),
    "buildah-scratch": Row(NONE, NONE, SILENT, CHANGED, BARE, DEBIAN),
    "buildah-commit": Row(PROVED, PROVED, CHANGED, MATCHES, INDEX),
    "buildkit": Row(NONE, PROVED, SILENT, MATCHES, CHILD),
    "buildkit-provenance": Row(PROVED, PROVED, SILENT, MATCHES, "plimsoll: it reads the provenance, as a claim"),
    "buildkit-provenance-1": Row(PROVED, PROVED, SILENT, SILENT, "plimsoll: regctl looks for a base of the attestation"),
    "buildkit-stages": Row(PROVED, PROVED, SILENT, MATCHES, "plimsoll: of the images that the provenance names, it "
                           "says the one whose layers stand in the image"),
    "umoci": Row(NONE, PROVED, SILENT, MATCHES, EMPTY),
    "umoci-two-levels": Row(CLAIMED, PROVED, CHANGED, MATCHES, INHERITED),
    "crane-append": Row(NONE, PROVED, SILENT, MATCHES, EMPTY),
    "crane-append-annotated": Row(PROVED, PROVED, CHANGED, MATCHES, INDEX),
    "crane-append-two-levels": Row(CLAIMED, PROVED, CHANGED, MATCHES, INHERITED),
    "crane-append-docker": Row(NONE, PROVED, SILENT, MATCHES, CHILD),
    "crane-scratch": Row(NONE, NONE, SILENT, CHANGED, BARE, DEBIAN),
    "nothing-added": Row(NONE, PROVED, SILENT, MATCHES, CHILD),
    "skopeo-docker": Row(NONE, PROVED, SILENT, MATCHES, CHILD),
    "skopeo-zstd": Row(PROVED, PROVED, CHANGED, CHANGED, PACKED),
    "regctl-zstd": Row(NONE, PROVED, SILENT, CHANGED, PACKED),
    "crane-mutate": Row(PROVED, PROVED, CHANGED, MATCHES, INDEX),
    "crane-flatten": Row(CONTRADICTED, CONTRADICTED, CHANGED, CHANGED, ONE_LAYER),
    "crane-flatten-docker": Row(NONE, NONE, SILENT, CHANGED, GONE),
    "ko": Row(PROVED, PROVED, CHANGED, MATCHES, INDEX),
    "ko-static": Row(PROVED, PROVED, CHANGED, MATCHES, INDEX),
    "liar": Row(CONTRADICTED, PROVED, MATCHES, MATCHES, LIE),
    "liar-name": Row(CLAIMED, PROVED, CHANGED, MATCHES, "both: the name is not believed"),
    "liar-name-own-digest": Row(CLAIMED, PROVED, CHANGED, MATCHES, "both: the name is not believed"),
    "liar-digest": Row(CLAIMED, PROVED, CHANGED, MATCHES, "both: that digest is not of that name"),
    "other-platform": Row(CLAIMED, CLAIMED, CHANGED, CHANGED, "both", DEBIAN),
    "other-platform-docker": Row(NONE, NONE, SILENT, CHANGED, "both", DEBIAN),
    "mixed": Row(NONE, PROVED, SILENT, CHANGED, "plimsoll: it looks at each platform by itself", DEBIAN),
    "same-layer": Row(NONE, PROVED, SILENT, CHANGED, "either: plimsoll goes by the layer, which is there; regctl wants "
                      "the base's history too, and crane wrote none"),
    "same-layer-told": Row(NONE, NONE, SILENT, CHANGED, "both: the layer is there, and made otherwise by the history", DEBIAN),
    "liar-diff-ids": Row(NONE, CONTRADICTED, SILENT, SILENT,
                         "plimsoll: the config says of the base's layer that it unpacks to something else"),
    "stale": Row(PROVED, PROVED, CHANGED, CHANGED, STALE),
    "stale-docker": Row(NONE, NONE, SILENT, CHANGED, "both: nothing says what the tag named then"),
    "stale-append": Row(PROVED, PROVED, CHANGED, CHANGED, STALE),
    "crane-rebase": Row(PROVED, PROVED, MATCHES, MATCHES, "both"),
    "regctl-rebase": Row(CONTRADICTED, PROVED, CHANGED, MATCHES, "plimsoll: regctl left the old base in the annotations"),
}
# What stands on the base, and is held back all the same: on what its tag named before, or beside a false claim.
HELD_BACK = {"stale", "stale-append", "regctl-rebase"}


def answer(platform):
    """What plimsoll says of one platform's base: how sure it is, and the base's name. All reading of it is here."""
    bases = platform["bases"]
    if bases["known"]:
        best = bases["known"][0]
        holds = best["holds"] or {part: {"layers": None, "size": None} for part in ("base", "added")}
        found = {"layers": holds["base"]["layers"], "size": holds["base"]["size"], "added": holds["added"]["size"]}
        return best["confidence"], best["name"], {**best, **found}
    return (CONTRADICTED if bases["contradicted"] else NONE), None, None


class Part:
    """What all steps share."""

    def __init__(self, work, stack):
        self.suite = Suite(work, stack)
        self.checks = self.suite.checks = Checks("bases")
        self.hub = self.suite.start(DockerRegistry, "hub")
        self.far = self.suite.start(Zot if Zot.here() else Crane, "far")
        self.programs = Programs(self.suite.work / "programs", [self.hub, self.far])
        self.factory = Factory(self.programs, self.hub, self.far, stack)
        self.scene = Scene(self.suite, self.settings())
        self.said = {}

    def settings(self):
        """Neither registry has TLS."""
        return self.suite.settings(self.hub) + self.suite.settings(self.far)

    def inspect(self, name, *arguments):
        """What plimsoll says of an image, by platform."""
        ran = self.scene.run("inspect", name, "--format", "json", *arguments)
        platforms = json.loads(ran.out)["platforms"] if ran.code in (0, 3) else []
        lies = any((one["bases"] or {}).get("contradicted") for one in platforms)
        self.checks.equal(ran.code, 3 if lies else 0, f"inspect {name} {' '.join(arguments)}", ran)
        return {one["platform"]: one for one in platforms}

    def regctl(self, made, *arguments):
        """What regctl says of an image, in a word."""
        # One platform is named, because it compares an index with nothing but an index.
        one = [] if len(made.parts) > 1 else ["--platform", next(iter(made.parts)) or AMD64]
        ran = self.programs.tried("regctl", "image", "check-base", self.factory.app(made.name), *one, *arguments)
        if b"base image matches" in ran.stdout:
            return "matches"
        if b"base image has changed" in ran.stdout:
            return "changed"
        return SILENT


def true_to_itself(part, made):
    """The truth is true: the base's layers are where it says, and nowhere else."""
    for platform, manifest in made.parts.items():
        base = made.on.get(platform)
        if not base:
            continue
        below = base.parts[platform]
        count = len(below["layers"])
        same = layers(manifest)[:count] == layers(below) or diff_ids(manifest)[:count] == diff_ids(below)
        part.checks.equal(same, made.kept, f"{made.name} {platform}: the layers of {base.tag} stand in it")


def sizes(part, name, parts):
    """Layers and their sum, as plimsoll, crane and skopeo read them."""
    found = part.inspect(name)
    part.checks.equal({platform or None for platform in parts}, set(found), f"{name}: its platforms")
    for platform, manifest in parts.items():
        told = found.get(platform or None)
        if not told:
            continue
        wanted = layers(manifest)
        part.checks.equal([(one["digest"], one["size"]) for one in told["layers"]], wanted, f"{name} {platform}: its layers")
        bare = f"{name.rsplit(':', 1)[0]}@{told['digest']}"
        raw = part.programs.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{bare}")
        for reader, seen in (("crane", wanted), ("skopeo", layers(json.loads(raw)))):
            part.checks.equal(told["layers_size"], sum(dict(seen).values()), f"{name} {platform}: its size as by {reader}")


def of_fixtures(part):
    """The images of `fixtures/bases`, pushed by regctl: the sizes that four readers see."""
    index, truth = (json.loads((FIXTURES / name).read_bytes()) for name in ("bases/index.json", "bases.json"))
    for number, entry in enumerate(index["manifests"]):
        image, name = entry["annotations"][NAME], f"{part.hub.host}/fixture/n{number}:1"
        part.programs.regctl("image", "copy", f"ocidir://{FIXTURES}/bases@{entry['digest']}", name)
        found = manifests(part.programs, name)
        sizes(part, name, found)
        bytes_of = {platform: sum(dict(layers(manifest)).values()) for platform, manifest in found.items()}
        wanted = {platform: facts["bytes"] for platform, facts in truth[image].items()}
        part.checks.equal(bytes_of, wanted, f"{image}: the bytes that bases.json has of it")


def unchanged_by_size(part, made):
    """What the base is said to weigh is what its layers weigh in the image, and the rest is what was added."""
    for platform, told in part.said[made.name].items():
        confidence, name, best = answer(told)
        if confidence != PROVED:
            continue
        weights = dict(layers(made.parts[platform or ""]))
        base = dict(layers(made.parts[platform or ""])[:best["layers"]])
        part.checks.equal((best["size"], best["added"]), (sum(base.values()), sum(weights.values()) - sum(base.values())),
                          f"{made.name} {platform}: the bytes of {name} and of what was added")


def confident(part, made, row):
    """The expected answer for every platform, and never another base with proof."""
    name = part.factory.app(made.name)
    candidates = [f"--base={part.factory.base(tag)}" for tag in BASES]
    for how, wanted, arguments in (("alone", row.alone, []), ("searched", row.searched, candidates)):
        told = part.inspect(name, *arguments)
        for platform in made.parts:
            what = f"{made.name} {platform}, {how}"
            found = told.get(platform or None)
            if not part.checks.that(found, f"{what}: is told of"):
                continue
            confidence, base, best = answer(found)
            part.checks.equal(confidence, wanted, f"{what}: how sure", best or found["bases"])
            for known in found["bases"]["known"]:
                if known["confidence"] == PROVED:
                    right = [part.factory.base(tag) for tag in chain(made, platform)]
                    part.checks.that(bare(known["name"]) in right, f"{what}: no wrong base is proved", known)
            if confidence == PROVED and platform in made.on:
                part.checks.equal(bare(base), part.factory.base(made.on[platform].tag), f"{what}: the nearest base")
                packed = layers(made.parts[platform])[:best["layers"]] != layers(made.on[platform].parts[platform])
                way = "unpacked-layers" if packed else "layers"
                part.checks.that(way in best["by"], f"{what}: proved by its {way}", best)
        part.said[made.name] = told


def bare(name):
    """A reference without its digest."""
    return name.partition("@")[0]


def chain(made, platform):
    """The bases below a platform of an image: its own, and that one's; none where no layer is left."""
    base = made.on.get(platform)
    if not base or not made.kept:
        return []
    return [GOLANG, DEBIAN] if base.tag == GOLANG else [base.tag]


def gated(part):
    """`check` with one base allowed, over all images: none is let through that does not stand on it."""
    names = {part.factory.app(name): made for name, made in part.factory.made.items()}
    for tag in BASES:
        scene = Scene(part.suite, part.settings(), rules=f"base-image: {{allow: [{json.dumps(part.factory.base(tag))}]}}")
        scene.manifest(names)
        ran, report = scene.report("check")
        part.checks.that(ran.code in (0, 1, 3), f"check with {tag} allowed: it runs", ran)
        verdicts = {reference["image"]: reference["verdict"] for reference in report["references"]}
        part.checks.equal(set(verdicts), set(names), f"check with {tag} allowed: every image is judged", ran)
        for name, made in names.items():
            below = [chain(made, platform) for platform in made.parts]
            proved = ROWS[made.name].searched == PROVED and made.name not in HELD_BACK
            wanted = "allow" if proved and all(tag in tags for tags in below) else "deny"
            part.checks.equal(verdicts.get(name), wanted, f"check with {tag} allowed: {made.name}", ran)


def denied(part):
    """`check` with one base denied and all others allowed: nothing that stands on it is let through."""
    names = {part.factory.app(name): made for name, made in part.factory.made.items()}
    for tag in BASES:
        others = json.dumps([part.factory.base(other) for other in BASES if other != tag])
        rules = f"base-image: {{deny: [{json.dumps(part.factory.base(tag))}], allow: {others}}}"
        scene = Scene(part.suite, part.settings(), rules=rules)
        scene.manifest(names)
        report = scene.expect(1, f"check with {tag} denied", "check")
        for reference in report["references"]:
            made = names[reference["image"]]
            if any(tag in chain(made, platform) for platform in made.parts):
                part.checks.equal(reference["verdict"], "deny", f"check with {tag} denied: {made.name}")


def beside(part, made, row):
    """What regctl says of the same."""
    told = row.base or next(iter(made.on.values())).tag
    found = (part.regctl(made), part.regctl(made, "--base", part.factory.base(told)))
    part.checks.equal(found, (row.plain, row.told), f"{made.name}: what regctl says, and when it is told {told}")


def moved(part):
    """What was built before the tag moved is told from what was built after it."""
    now = part.factory.now(ALPINE)
    for name, made in part.factory.made.items():
        for platform, told in part.said[name].items():
            confidence, base, best = answer(told)
            if confidence != PROVED or platform not in made.on:
                continue
            stale = made.on[platform].digest != now.digest and made.on[platform].tag == ALPINE
            state = best["now"]["state"]
            part.checks.equal(state, "moved" if stale else "same", f"{name} {platform}: whether {base} moved", best)
            if stale:
                part.checks.equal(best["now"]["digest"], now.digest, f"{name} {platform}: where {base} moved to")


def frugal(part):
    """Fifty images on three bases, of which each may be asked for once."""
    factory, names = part.factory, []
    for number in range(MANY):
        source = ["buildah", "crane-append-docker", "ko-static"][number % 3]
        names.append(f"{part.hub.host}/many/r{number}:1")
        part.programs.crane("mutate", factory.app(source), "--label", f"number={number}", "--tag", names[-1])
    allowed = json.dumps([factory.base(tag) for tag in (DEBIAN, REDHAT, STATIC)])
    scene = Scene(part.suite, part.settings(), rules=f"base-image: {{allow: {allowed}, up-to-date: true}}")
    scene.manifest(names)
    before = len(part.hub.requests())
    scene.expect(0, f"{MANY} images on 3 bases", "check")
    everything = part.hub.requests()[before:]
    asked = Counter((method, path) for method, path, _ in everything if "/library/" in path)
    tags = Counter(path for (_, path), times in asked.items() for _ in range(times) if "sha256:" not in path)
    wanted = {f"/v2/{tag.replace(':', '/manifests/')}": 1 for tag in (DEBIAN, REDHAT, STATIC)}
    part.checks.equal(dict(tags), wanted, f"{MANY} images on 3 bases: each base's tag is asked for once")
    part.checks.equal({what: times for what, times in asked.items() if times > 1}, {},
                      f"{MANY} images on 3 bases: nothing of a base is asked for twice")
    print(f"bases: {MANY} images on 3 bases took {sum(asked.values())} requests for the bases and "
          f"{len(everything) - sum(asked.values())} for the images", flush=True)


def table(part):
    """All answers in Markdown, without the ports of this run."""
    print("| image | truth | plimsoll alone | with candidates | regctl check-base | told the base | who is right |")
    print("|---|---|---|---|---|---|---|")
    for name, made in part.factory.made.items():
        row = ROWS[name]
        print(f"| {made.how} | {made.truth()} | {row.alone} | {row.searched} | {row.plain} | {row.told} | {row.right} |")


def lacking(what):
    """The exit code where the images can't be built."""
    print(f"bases: {what}: no image is built, and nothing is shown", flush=True)
    return 1 if os.environ.get("CI") == "true" else 0


def main():
    """Build everything, and compare."""
    end_on_signals()
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        return lacking(f"{' and '.join(missing)} can't be found")
    if os.geteuid() != 0:
        return lacking("buildah, BuildKit and umoci unpack layers with their owners, and you are not root")
    with tempfile.TemporaryDirectory(prefix="plimsoll-bases-") as work, contextlib.ExitStack() as stack:
        part = Part(work, stack)
        start = time.monotonic()
        made = part.factory.build()
        print(f"bases: {len(made)} images built in {time.monotonic() - start:.0f} s", flush=True)
        part.checks.equal(set(ROWS) - set(made), set() if part.factory.buildkit else
                          {name for name in ROWS if name.startswith("buildkit")}, "every image is built")
        for tag in BASES:
            sizes(part, part.factory.base(tag), part.factory.now(tag).parts)
        for image in made.values():
            true_to_itself(part, image)
            sizes(part, part.factory.app(image.name), image.parts)
            beside(part, image, ROWS[image.name])
        for image in made.values():
            confident(part, image, ROWS[image.name])
            unchanged_by_size(part, image)
        of_fixtures(part)
        moved(part)
        gated(part)
        denied(part)
        frugal(part)
        if "--table" in sys.argv[1:]:
            table(part)
        return part.checks.close()


if __name__ == "__main__":
    sys.exit(main())
