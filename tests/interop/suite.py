"""What all parts of `registries` share: the images, a folder with files, and the usual way through every command."""

import json
import os
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import clients
import documents
from checks import FIXTURES, Checks, Plimsoll, contents, identities

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

    def __init__(self, work, stack):
        self.work, self.stack = Path(work), stack
        self.servers = self.work / "servers"
        self.servers.mkdir()
        self.trusted = ["docker.io/**"]
        self.checks = Checks("registries")
        self.client = clients.Client(self.work / "client")
        (self.work / "home").mkdir()
        self.plimsoll = Plimsoll(self.work / "home")
        index = json.loads((LAYOUT / "index.json").read_bytes())
        # repository and tag, without the host that it has in the layout
        self.images = {entry["annotations"][NAME].split("/", 1)[1]: entry for entry in index["manifests"]}
        self.sources = {}
        self.scenes = 0

    def start(self, kind, name, **options):
        """Start a registry, which ends with the part that runs; the policies trust it."""
        registry = kind(self.servers, name, **options)
        self.stack.callback(registry.stop)
        # A host in a pattern is literal, with its port.
        self.trusted += [f"{name}:{registry.port}/**" for name in ("localhost", "127.0.0.1")]
        return registry

    @staticmethod
    def settings(registry):
        """What the settings must say of a registry without TLS: that it has none, and whose tokens it wants."""
        entry = {"prefix": registry.host, "insecure": True}
        if registry.login not in (None, "basic"):
            entry["token-realm"] = registry.login.realm(registry.realm)
        return [entry]

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
            if self.client.crane and not registry.callers:  # crane shows no certificates
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
        # What one scene keeps answers in no other.
        self.environment.setdefault("XDG_CACHE_HOME", str(suite.plimsoll.home / "caches" / top.name))
        self.rules(rules)

    def cache(self):
        """Where this scene's runs keep what they fetched."""
        return Path(self.environment["XDG_CACHE_HOME"])

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


def undecided(scene, what, original=None):
    """check and pin say undecided, and nothing is written."""
    before = contents(scene.tree) if original is None else original
    report = scene.expect(3, f"{what}: check", "check")
    scene.checks.equal(set(verdicts(report)), {"undecided"}, f"{what}: the verdicts")
    ran = scene.run("pin")
    scene.checks.equal((ran.code, contents(scene.tree)), (3, before), f"{what}: pin leaves the files alone", ran)
    ran = scene.run("pin", "--no-policy")
    scene.checks.equal((ran.code, contents(scene.tree)), (3, before), f"{what}: pin --no-policy too", ran)


def rules_of(report, status):
    """The rules of the findings with this status."""
    return sorted({finding["rule"] for finding in report["findings"] if finding["status"] == status})


def verdicts(report):
    """The verdict of each reference, in order."""
    return [reference["verdict"] for reference in report["references"]]


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
