"""Who refers to an image, as regctl put it there and as plimsoll lists it: by the referrers API, and by the fallback tag."""

import json
import subprocess

import logins
from suite import Scene

IMAGE = "library/nginx:1.25"
SBOM, SIGNATURE = "application/spdx+json", "application/vnd.example.signature"


def referring(suite, registry, way):
    """Referrers of an index and of a child, and none; `way` is how this kind of registry lists them."""
    if not suite.plimsoll.knows("inspect"):
        return
    checks, what = suite.checks, f"{registry.name}: referrers"
    regctl = Regctl(suite, registry)
    suite.push(registry, [IMAGE, "library/busybox:1.36"])
    index = json.loads(suite.client.raw(registry, IMAGE))
    child = next(one["digest"] for one in index["manifests"] if one["platform"]["architecture"] == "amd64")
    name = f"{registry.host}/{IMAGE}"
    bare = name.rsplit(":", 1)[0]
    for kind, subject in ((SBOM, name), (SIGNATURE, name), (SIGNATURE, f"{bare}@{child}")):
        regctl.put(kind, subject)
    scene = Scene(suite, suite.settings(registry),
                  logins.auths(registry.host) if registry.login else None)
    found = inspect(scene, name, what)
    both = regctl.listed(name)
    checks.equal(len({one["digest"] for one in both}), 2, f"{what}: regctl sees both")
    if way != "api":  # this zot goes by the config's type, as a draft of the specification did
        checks.equal({one["artifactType"] for one in both}, {SBOM, SIGNATURE}, f"{what}: and what they are")
    same(checks, found["referrers"], both, way, f"{what}: of the index")
    inside = {one["digest"]: one for one in found["platforms"]}[child]
    same(checks, inside["referrers"], regctl.listed(f"{bare}@{child}"), way, f"{what}: of the child")
    nobody = inspect(scene, f"{registry.host}/library/busybox:1.36", f"{what}: none")["referrers"]
    checks.equal((nobody["found"], nobody["error"]), ([], None), f"{what}: none is none, and no error")


def same(checks, found, listed, way, what):
    """plimsoll's list is that of regctl."""
    checks.equal((found["error"], found["from"]), (None, way), f"{what}: known, and how")
    checks.equal(sorted((one["digest"], one["artifact_type"], one["size"]) for one in found["found"] or []),
                 sorted((one["digest"], one["artifactType"], one["size"]) for one in listed), f"{what}: as regctl lists them")


def inspect(scene, name, what):
    """The JSON of `plimsoll inspect`."""
    ran = scene.run("inspect", name, "--format", "json")
    scene.checks.equal(ran.code, 0, f"{what}: inspect", ran)
    text = scene.run("inspect", name)
    scene.checks.that(text.code == 0 and text.out, f"{what}: inspect as text", text)
    nothing = {"referrers": {"error": "no report", "from": None, "found": []}, "platforms": []}
    return json.loads(ran.out) if ran.code == 0 else nothing


class Regctl:
    """regctl with a home of its own."""

    def __init__(self, suite, registry):
        self.home = suite.work / f"regctl-{registry.name}"
        self.home.mkdir()
        self.environment = suite.plimsoll.environment(HOME=str(self.home), DOCKER_CONFIG=str(self.home))
        if registry.login:
            (self.home / "config.json").write_text(json.dumps(logins.auths(registry.host)))
        self.run("registry", "set", "--tls", "disabled", registry.host)

    def run(self, *arguments, stdin=b""):
        """What it prints."""
        done = subprocess.run(["regctl", *arguments], input=stdin, capture_output=True, env=self.environment)
        if done.returncode:
            raise RuntimeError(f"regctl {arguments}: {done.stderr.decode()}")
        return done.stdout

    def put(self, kind, subject):
        """Push a referrer of a subject."""
        self.run("artifact", "put", "--artifact-type", kind, "--subject", subject, stdin=f"{kind} {subject}".encode())

    def listed(self, subject):
        """The referrers of a subject, as the registry describes them."""
        body = json.loads(self.run("artifact", "list", subject, "--format", "{{json .Manifest}}"))
        return body.get("manifests") or []
