#!/usr/bin/env python3
"""plimsoll against real registries, compared with what skopeo and crane say of the same images.

Four docker-registries on 127.0.0.1: plain, with a password, with TLS of an unknown authority, with tokens.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import documents
import servers
from checks import FIXTURES, Checks, Plimsoll, contents, end_on_signals, identities

LAYOUT = FIXTURES / "registry"
NAME = "org.opencontainers.image.ref.name"
BY_TEXT = "pinned-digest: {}"
FRESH = "pinned-digest: {}\n        tag-digest-match: {}"
LENIENT = "pinned-digest: {level: warn}"
PIN = re.compile(r"@sha256:[0-9a-f]{64}")
# A few of each kind: an index with attestations, a Docker list, a single Docker image.
FEW = ["library/nginx:1.25", "library/redis:7.2", "acme/shop-legacy:0.9"]


class Suite:
    """What all parts share: the program, the other clients, the counts and the images."""

    def __init__(self, work):
        self.work = Path(work)
        self.checks = Checks("registries")
        self.client = servers.Client(self.work / "client")
        (self.work / "home").mkdir()
        self.plimsoll = Plimsoll(self.work / "home")
        index = json.loads((LAYOUT / "index.json").read_bytes())
        # repository and tag, without the host that it has in the layout
        self.images = {entry["annotations"][NAME].split("/", 1)[1]: entry for entry in index["manifests"]}
        self.sources = {}
        self.scenes = 0

    def source(self, name):
        """Where skopeo copies an image from."""
        entry = self.images[name]
        if "docker" not in entry["mediaType"]:
            return f"oci:{LAYOUT}:{entry['annotations'][NAME]}"
        # skopeo reads no Docker media types out of an OCI layout, but out of a folder of its own kind it does.
        if name not in self.sources:
            folder = self.work / "docker-images" / sha256(name.encode()).hexdigest()[:12]
            folder.mkdir(parents=True)
            (folder / "version").write_text("Directory Transport Version: 1.1\n")
            unpack(entry["digest"], folder / "manifest.json", folder)
            self.sources[name] = f"dir:{folder}"
        return self.sources[name]

    def push(self, registry, names):
        """Push images and check that all parties agree on what was pushed."""
        for name in names:
            self.client.push(registry, self.source(name), name)
            wanted = self.images[name]["digest"]
            words = {"skopeo inspect --raw": "sha256:" + sha256(self.client.raw(registry, name)).hexdigest(),
                     "skopeo inspect": self.client.digest(registry, name)}
            if self.client.crane:
                words["crane digest"] = self.client.crane_digest(registry, name)
            for word, digest in words.items():
                self.checks.equal(digest, wanted, f"{word} of {registry.name} {name} is the layout's digest")


def unpack(digest, path, folder):
    """One manifest and all below it, from the layout into a folder as skopeo writes it."""
    data = (LAYOUT / "blobs/sha256" / digest.split(":")[1]).read_bytes()
    path.write_bytes(data)
    manifest = json.loads(data)
    for child in manifest.get("manifests", []):
        unpack(child["digest"], folder / f"{child['digest'].split(':')[1]}.manifest.json", folder)
    for blob in [manifest["config"], *manifest["layers"]] if "config" in manifest else []:
        blob = blob["digest"].split(":")[1]
        shutil.copy(LAYOUT / "blobs/sha256" / blob, folder / blob)


class Scene:
    """A folder with manifests and a policy, the settings of one machine, and what plimsoll makes of them."""

    def __init__(self, suite, settings=(), login=None, rules=FRESH, **environment):
        suite.scenes += 1
        self.suite, self.checks = suite, suite.checks
        top = suite.work / f"scene-{suite.scenes}"
        self.tree, self.config, self.environment = top / "tree", top / "gate.yaml", environment
        (self.tree / "k8s").mkdir(parents=True)
        self.config.write_text(json.dumps({"apiVersion": "plimsoll.dev/v1", "kind": "GateConfig",
                                           "spec": {"registries": list(settings)}}))
        docker = top / "docker"
        docker.mkdir()
        if login:
            (docker / "config.json").write_text(json.dumps(login))
        self.environment["DOCKER_CONFIG"] = str(docker)
        self.rules(rules)

    def rules(self, rules):
        """Write the policy."""
        (self.tree / "plimsoll.yaml").write_text(
            "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nmetadata: {name: interop}\nspec:\n  statements:\n"
            "    - name: everything\n      match: [\"**\"]\n      rules:\n"
            f"        trusted-registry: {{allow: {json.dumps(self.suite.trusted)}}}\n        {rules}\n")

    def manifest(self, texts, path="k8s/app.yaml"):
        """Write a Pod with these images, each in another spelling."""
        lines = ["# written by the interop suite", "apiVersion: v1", "kind: Pod", "metadata: {name: app}", "spec:",
                 "  containers:"]
        spellings = ["    - name: c{0}\n      image: {1}   # plain", "    - {{name: c{0}, image: \"{1}\"}}",
                     "    - name: c{0}\n      image: '{1}'", "    - image: &c{0} \"{1}\"\n      name: c{0}"]
        for number, text in enumerate(texts):
            lines.append(spellings[number % len(spellings)].format(number, text))
        (self.tree / path).write_text("\n".join(lines) + "\n")

    def run(self, *arguments, config=True):
        """Run plimsoll in the folder."""
        settings = ["--config", self.config] if config else []
        return self.suite.plimsoll.run(*arguments, *settings, cwd=self.tree, **self.environment)

    def report(self, *arguments):
        """Run it with a JSON report; the run and the report."""
        ran = self.run(*arguments, "--format", "json")
        try:
            return ran, json.loads(ran.out)
        except ValueError:
            return ran, {"references": [], "findings": [], "edits": [], "unread": [], "summary": {}}

    def expect(self, code, what, *arguments):
        """Run it and check the exit code; the report."""
        ran, report = self.report(*arguments)
        self.checks.equal(ran.code, code, what, ran)
        self.checks.that(report["references"], f"{what}: the report has references", ran)
        return report

    def images(self, path="k8s/app.yaml"):
        """The images that PyYAML reads in a manifest."""
        return documents.images((self.tree / path).read_bytes())


def rules_of(report, status):
    """The rules of the findings with this status."""
    return sorted({finding["rule"] for finding in report["findings"] if finding["status"] == status})


def verdicts(report):
    """The verdict of each reference, in order."""
    return [reference["verdict"] for reference in report["references"]]


# ---------------------------------------------------------------- the usual way, on every registry

def full_circle(suite, registry, names, settings, login=None, **environment):
    """list, check, pin --check, pin --diff, pin, check, a second pin, unpin."""
    checks, what = suite.checks, registry.name
    scene = Scene(suite, settings, login, **environment)
    wanted = {f"{registry.host}/{name}": suite.images[name]["digest"] for name in names}
    scene.manifest(wanted)
    original = contents(scene.tree)

    before = len(registry.requests())
    ran = scene.run("list", "--format", "json")
    listed = json.loads(ran.out) if ran.code == 0 else {"references": []}
    checks.equal([row["image"] for row in listed["references"]], list(wanted), f"{what}: list finds every image", ran)
    checks.equal(len(registry.requests()), before, f"{what}: list asks no registry")

    report = scene.expect(1, f"{what}: check denies what is not pinned", "check")
    checks.equal(rules_of(report, "violated"), ["pinned-digest"], f"{what}: by pinned-digest alone")
    scene.rules(LENIENT)
    report = scene.expect(0, f"{what}: check with pinned-digest at warn", "check")
    found = {row["image"]: row["digest"] for row in report["references"]}
    checks.equal(found, wanted, f"{what}: check reports the digests that skopeo and crane report")
    scene.rules(FRESH)

    ran = scene.run("pin", "--check")
    checks.equal(ran.code, 1, f"{what}: pin --check says that something would change", ran)
    diff = scene.run("pin", "--diff")
    policy = {"plimsoll.yaml": original["plimsoll.yaml"]}
    checks.equal(contents(scene.tree), original, f"{what}: pin --check and pin --diff write nothing")

    ran = scene.run("pin")
    checks.equal(ran.code, 0, f"{what}: pin", ran)
    pinned = contents(scene.tree)
    texts = [f"{name}@{digest}" for name, digest in wanted.items()]
    checks.equal(scene.images(), texts, f"{what}: the pinned file names exactly those digests")
    taken_off = {path: PIN.sub("", data.decode()).encode() for path, data in pinned.items()}
    checks.equal(taken_off, original, f"{what}: nothing but digests came in")
    check_diff(suite, what, diff, original, pinned)

    scene.expect(0, f"{what}: check after pin", "check")
    ran = scene.run("pin", "--check")
    checks.equal(ran.code, 0, f"{what}: pin --check after pin", ran)
    files = identities(scene.tree)
    ran = scene.run("pin")
    checks.equal((ran.code, identities(scene.tree)), (0, files), f"{what}: a second pin touches no file", ran)
    ran = scene.run("unpin")
    checks.equal((ran.code, {**contents(scene.tree), **policy}), (0, original), f"{what}: unpin gives the original back", ran)


def check_diff(suite, what, diff, original, pinned):
    """What `pin --diff` prints is what git applies to get what `pin` writes."""
    folder = suite.work / f"diff-{what.replace(' ', '-')}"
    for path, data in original.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    applied = subprocess.run(["git", "apply", "-"], cwd=folder, input=diff.out.encode(), capture_output=True,
                             env={**os.environ, "GIT_CEILING_DIRECTORIES": str(suite.work)})
    suite.checks.equal(contents(folder), pinned, f"{what}: git applies the diff to the same bytes",
                       f"{applied.stderr.decode()}\n{diff}")


# ---------------------------------------------------------------- plain http

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
    mirrors(suite, registry)
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


def mirrors(suite, registry):
    """A mirror answers for another name, and the name in the file stays."""
    checks = suite.checks
    digest = suite.images["library/nginx:1.25"]["digest"]
    empty = f"http://{registry.host}/nothing-here"
    for case, places in {"a mirror": [f"http://{registry.host}"], "the second mirror": [empty, f"http://{registry.host}"]}.items():
        scene = Scene(suite, [{"prefix": "docker.io", "mirrors": places, "only-mirrors": True}])
        scene.manifest(["nginx:1.25", "docker.io/library/nginx:1.25"])
        scene.expect(0, f"{case}: pin", "pin")
        checks.equal(scene.images(), [f"nginx:1.25@{digest}", f"docker.io/library/nginx:1.25@{digest}"],
                     f"{case}: the names stay as written")
        scene.expect(0, f"{case}: check after pin", "check")
    scene = Scene(suite, [{"prefix": "docker.io", "mirrors": [empty], "only-mirrors": True}], rules=LENIENT)
    scene.manifest(["nginx:1.25"])
    report = scene.expect(1, "no mirror has it: check denies", "check")
    checks.that("exists" in rules_of(report, "violated"), "no mirror has it: by exists", report["findings"])


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


# ---------------------------------------------------------------- passwords and tokens

def undecided(scene, what, original=None):
    """check and pin say undecided, and nothing is written."""
    before = contents(scene.tree) if original is None else original
    report = scene.expect(3, f"{what}: check", "check")
    scene.checks.equal(set(verdicts(report)), {"undecided"}, f"{what}: the verdicts")
    ran = scene.run("pin")
    scene.checks.equal((ran.code, contents(scene.tree)), (3, before), f"{what}: pin leaves the files alone", ran)
    ran = scene.run("pin", "--no-policy")
    scene.checks.equal((ran.code, contents(scene.tree)), (3, before), f"{what}: pin --no-policy too", ran)


def passwords(suite, registry):
    """Docker's config.json with a password, a helper and a store; then each of them wrong."""
    checks, host = suite.checks, registry.host
    suite.push(registry, FEW)
    settings = [{"prefix": host, "insecure": True}]
    full_circle(suite, registry, FEW, settings, servers.auths(host))
    texts = [f"{host}/{name}" for name in FEW]
    for case, login in {"no password": None, "an empty config.json": {}, "a wrong password": servers.auths(host, servers.WRONG),
                        "another host's password": servers.auths("localhost:1")}.items():
        scene = Scene(suite, settings, login, rules=LENIENT)
        scene.manifest(texts)
        undecided(scene, f"{registry.name}: {case}")
    logins(suite, registry, settings, texts)
    password_of_a_mirror(suite, registry)
    for kind in ("credHelpers", "credsStore"):
        helpers(suite, registry, settings, texts, kind)


def logins(suite, registry, settings, texts):
    """What other clients write when one logs in with them."""
    scene = Scene(suite, settings, rules=LENIENT)
    file = Path(scene.environment["DOCKER_CONFIG"]) / "config.json"
    commands = {"skopeo login": ["skopeo", "login", "--tls-verify=false", f"--authfile={file}"]}
    if suite.client.crane:
        commands["crane auth login"] = [suite.client.crane, "auth", "login"]
    scene.manifest(texts)
    for client, command in commands.items():
        file.unlink(missing_ok=True)
        subprocess.run([*command, "-u", servers.USER, "--password-stdin", registry.host], check=True, capture_output=True,
                       input=servers.PASSWORD.encode(), env={**os.environ, "DOCKER_CONFIG": str(file.parent)})
        suite.checks.that(registry.host in file.read_text(), f"{client} writes its config")
        scene.expect(0, f"after {client}: check", "check")


def password_of_a_mirror(suite, registry):
    """A mirror gets its own password, and never the one of the registry that it stands for."""
    mirror = [{"prefix": "docker.io", "mirrors": [f"http://{registry.host}"], "only-mirrors": True}]
    scene = Scene(suite, mirror, servers.auths(registry.host), rules=LENIENT)
    scene.manifest(["nginx:1.25"])
    scene.expect(0, "a mirror with a password: pin", "pin")
    suite.checks.equal(scene.images(), [f"nginx:1.25@{suite.images['library/nginx:1.25']['digest']}"],
                       "a mirror with a password: pinned")
    for key in ("https://index.docker.io/v1/", "docker.io"):
        scene = Scene(suite, mirror, servers.auths(key), rules=LENIENT)
        scene.manifest(["nginx:1.25"])
        undecided(scene, f"a mirror does not get the password of {key}")


def helpers(suite, registry, settings, texts, kind):
    """A credential helper that answers, one that fails, one that knows nothing, one that is missing."""
    checks, what = suite.checks, f"{registry.name} {kind}"
    folder = suite.work / f"helpers-{what.replace(' ', '-')}"
    folder.mkdir()
    log = folder / "log"
    log.touch()
    answer = json.dumps({"ServerURL": registry.host, "Username": servers.USER, "Secret": servers.PASSWORD})
    scripts = {
        "right": f"read -r host\necho \"$1 $host\" >>'{log}'\ncat <<'END'\n{answer}\nEND\n",
        "wrong": f"cat >/dev/null\ncat <<'END'\n{answer.replace(servers.PASSWORD, servers.WRONG)}\nEND\n",
        "failing": f"cat >/dev/null\necho 'locked: {servers.PASSWORD}'\nexit 1\n",
        "chatty": f"cat >/dev/null\necho 'not JSON {servers.PASSWORD}'\n",
        "ignorant": "cat >/dev/null\necho 'credentials not found in native keychain'\nexit 1\n",
    }
    for name, body in scripts.items():
        path = folder / f"docker-credential-{name}"
        path.write_text("#!/bin/sh\n" + body)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    search = f"{folder}:{os.environ['PATH']}"
    for name in [*scripts, "missing"]:
        login = {kind: {registry.host: name} if kind == "credHelpers" else name}
        scene = Scene(suite, settings, login, rules=LENIENT, PATH=search)
        scene.manifest(texts)
        if name != "right":
            undecided(scene, f"{what} {name}")
            continue
        scene.expect(0, f"{what}: pin", "pin")
        checks.equal(scene.images(), [f"{text}@{suite.images[text.split('/', 1)[1]]['digest']}" for text in texts],
                     f"{what}: pinned")
        checks.equal(log.read_text().splitlines(), [f"get {registry.host}"], f"{what}: the helper is asked once a run")


def tokens(suite, registry, server):
    """A token endpoint: a password, a refresh token, a wrong password, a foreign realm."""
    checks, host = suite.checks, registry.host
    suite.push(registry, FEW)
    settings = [{"prefix": host, "insecure": True}]
    full_circle(suite, registry, FEW, settings, servers.auths(host))
    texts = [f"{host}/{name}" for name in FEW]
    for case, login in {"no password": None, "a wrong password": servers.auths(host, servers.WRONG)}.items():
        scene = Scene(suite, settings, login, rules=LENIENT)
        scene.manifest(texts)
        undecided(scene, f"tokens: {case}")

    refresh = {"auths": {host: {"auth": base64.b64encode(f"{servers.USER}:".encode()).decode(),
                                "identitytoken": servers.REFRESH}}}
    scene = Scene(suite, settings, refresh)
    scene.manifest(texts)
    before = len(server.asked)
    scene.expect(0, "tokens: pin with an identity token", "pin")
    asked = server.asked[before:]
    checks.equal({method for method, _, _ in asked}, {"POST"}, "tokens: an identity token is posted")
    checks.equal(len(asked), len(FEW), "tokens: one token for each repository")
    scopes = sorted(scope for _, _, scopes in asked for scope in scopes)
    checks.equal(scopes, sorted(f"repository:{name.rsplit(':', 1)[0]}:pull" for name in FEW), "tokens: to read, no more")


def foreign_realm(suite, registry, server):
    """A registry that sends us to a realm on another host gets no credentials out of us."""
    scene = Scene(suite, [{"prefix": registry.host, "insecure": True}], servers.auths(registry.host), rules=LENIENT)
    scene.manifest([f"{registry.host}/library/nginx:1.25"])
    before = len(server.asked)
    undecided(scene, "a foreign realm")
    suite.checks.equal(server.asked[before:], [], "a foreign realm is not even asked")


# ---------------------------------------------------------------- TLS

def tls(suite, registry, stranger):
    """A certificate of an own authority: named, not named, and another one named."""
    host = registry.host
    suite.push(registry, FEW)
    full_circle(suite, registry, FEW, [{"prefix": host, "ca": str(registry.authority.certificate)}])
    texts = [f"{host}/{name}" for name in FEW]
    by_address = f"127.0.0.1:{registry.port}"
    mirror = {"prefix": "docker.io", "mirrors": [f"https://{by_address}"], "only-mirrors": True}
    good = {
        "an address in the certificate": [{"prefix": by_address, "ca": str(registry.authority.certificate)}],
        "declared insecure": [{"prefix": host, "insecure": True}, {"prefix": by_address, "insecure": True}],
    }
    for case, settings in good.items():
        scene = Scene(suite, settings, rules=LENIENT)
        name = by_address if "address" in case else host
        scene.manifest([f"{name}/{image}" for image in FEW])
        scene.expect(0, f"TLS: {case}: pin", "pin")
        suite.checks.equal([text.split("@")[-1] for text in scene.images()],
                           [suite.images[image]["digest"] for image in FEW], f"TLS: {case}: pinned")
    scene = Scene(suite, [{**mirror, "ca": str(registry.authority.certificate)}], rules=LENIENT)
    scene.manifest(["nginx:1.25"])
    scene.expect(0, "TLS: a mirror with its authority: pin", "pin")

    bad = {
        "another authority": [{"prefix": host, "ca": str(stranger.certificate)}],
        "no settings": [],
        "another registry's settings": [{"prefix": "localhost:1", "ca": str(registry.authority.certificate)}],
        "a mirror of an unknown authority": [mirror],
    }
    for case, settings in bad.items():
        scene = Scene(suite, settings, rules=LENIENT)
        scene.manifest(["nginx:1.25"] if "mirror" in case else texts)
        undecided(scene, f"TLS: {case}")


def proxies(suite, registry, proxy):
    """The proxy variables: used, left out by no_proxy, wrong."""
    ca, host = [{"prefix": registry.host, "ca": str(registry.authority.certificate)}], registry.host
    cases = {"https_proxy": ({"https_proxy": proxy.url()}, 0, True),
             "HTTPS_PROXY": ({"HTTPS_PROXY": proxy.url()}, 0, True),
             "no_proxy": ({"https_proxy": proxy.url(), "no_proxy": "localhost"}, 0, False),
             "http_proxy alone": ({"http_proxy": proxy.url()}, 0, False),
             "a wrong password for the proxy": ({"https_proxy": proxy.url(servers.WRONG)}, 3, True),
             "a proxy that is not there": ({"https_proxy": f"http://127.0.0.1:{servers.free_port()}"}, 3, False)}
    for case, (variables, code, used) in cases.items():
        scene = Scene(suite, ca, rules=LENIENT, **variables)
        scene.manifest([f"{host}/{name}" for name in FEW])
        before = len(proxy.asked)
        scene.expect(code, f"proxies: {case}", "check")
        suite.checks.equal({place for place, _ in proxy.asked[before:]}, {host} if used else set(),
                           f"proxies: {case}: what the proxy saw")


# ---------------------------------------------------------------- all of it

def secrets(suite, server):
    """No password and no token stands in anything that plimsoll printed or kept."""
    words = {servers.PASSWORD, servers.WRONG, servers.REFRESH, servers.Proxy.PASSWORD, *server.issued}
    for password in (servers.PASSWORD, servers.WRONG, ""):
        words.add(base64.b64encode(f"{servers.USER}:{password}".encode()).decode())
    said = "\n".join(suite.plimsoll.transcript)
    kept = b"\n".join(contents(suite.work / "home").values())
    leaked = [word[:12] for word in words if word in said or word.encode() in kept]
    suite.checks.equal(leaked, [], f"no secret in the output of {len(suite.plimsoll.transcript)} runs nor in the cache")
    suite.checks.that(not any("panicked" in text for text in suite.plimsoll.transcript), "no run panics")


def main():
    """Start everything, run everything, end everything."""
    end_on_signals()
    with tempfile.TemporaryDirectory(prefix="plimsoll-interop-") as work, contextlib.ExitStack() as stack:
        suite = Suite(work)
        folder = suite.work / "servers"
        folder.mkdir()

        def start(name, **options):
            registry = servers.Registry(folder, name, **options)
            stack.callback(registry.stop)
            return registry

        server, proxy = servers.TokenServer(folder / "tokens"), servers.Proxy()
        stack.callback(server.stop)
        stack.callback(proxy.stop)
        authority, stranger = (servers.Authority(folder / name, name) for name in ("authority", "stranger"))
        registries = {
            "plain": start("plain"),
            "basic": start("basic", extra=servers.htpasswd(folder / "passwords")),
            "tls": start("tls", authority=authority),
            "bearer": start("bearer", extra=server.settings()),
            "foreign": start("foreign", extra=server.settings("127.0.0.1")),
        }
        # A host in a pattern is literal, with its port.
        suite.trusted = ["docker.io/**"] + [f"{name}:{one.port}/**" for one in registries.values()
                                            for name in ("localhost", "127.0.0.1")]
        if not suite.client.crane:
            print("registries: crane is not here, skopeo alone is the other word")
        plain(suite, registries["plain"])
        passwords(suite, registries["basic"])
        tls(suite, registries["tls"], stranger)
        proxies(suite, registries["tls"], proxy)
        tokens(suite, registries["bearer"], server)
        foreign_realm(suite, registries["foreign"], server)
        secrets(suite, server)
        return suite.checks.close()


if __name__ == "__main__":
    sys.exit(main())
