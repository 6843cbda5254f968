"""Passwords, credential helpers and tokens: right, wrong, missing, another host's."""

import base64
import json
import os
import stat
import subprocess
from pathlib import Path

import logins
from suite import FEW, LENIENT, Scene, full_circle, undecided


def passwords(suite, registry):
    """Docker's config.json with a password, a helper and a store; then each of them wrong."""
    checks, host = suite.checks, registry.host
    suite.push(registry, FEW)
    settings = suite.settings(registry)
    full_circle(suite, registry, FEW, settings, logins.auths(host))
    texts = [f"{host}/{name}" for name in FEW]
    for case, login in {"no password": None, "an empty config.json": {}, "a wrong password": logins.auths(host, logins.WRONG),
                        "another host's password": logins.auths("localhost:1")}.items():
        scene = Scene(suite, settings, login, rules=LENIENT)
        scene.manifest(texts)
        undecided(scene, f"{registry.name}: {case}")
    written_by_others(suite, registry, settings, texts)
    password_of_a_mirror(suite, registry)
    for kind in ("credHelpers", "credsStore"):
        helpers(suite, registry, settings, texts, kind)


def written_by_others(suite, registry, settings, texts):
    """What other clients write when one logs in with them."""
    scene = Scene(suite, settings, rules=LENIENT)
    file = Path(scene.environment["DOCKER_CONFIG"]) / "config.json"
    commands = {"skopeo login": ["skopeo", "login", "--tls-verify=false", f"--authfile={file}"]}
    if suite.client.crane:
        commands["crane auth login"] = [suite.client.crane, "auth", "login"]
    scene.manifest(texts)
    for client, command in commands.items():
        file.unlink(missing_ok=True)
        subprocess.run([*command, "-u", logins.USER, "--password-stdin", registry.host], check=True, capture_output=True,
                       input=logins.PASSWORD.encode(), env={**os.environ, "DOCKER_CONFIG": str(file.parent)})
        suite.checks.that(registry.host in file.read_text(), f"{client} writes its config")
        scene.expect(0, f"after {client}: check", "check")


def password_of_a_mirror(suite, registry):
    """A mirror gets its own password, and never the one of the registry that it stands for."""
    mirror = [{"prefix": "docker.io", "mirrors": [f"http://{registry.host}"], "only-mirrors": True}]
    scene = Scene(suite, mirror, logins.auths(registry.host), rules=LENIENT)
    scene.manifest(["nginx:1.25"])
    scene.expect(0, "a mirror with a password: pin", "pin")
    suite.checks.equal(scene.images(), [f"nginx:1.25@{suite.images['library/nginx:1.25']['digest']}"],
                       "a mirror with a password: pinned")
    for key in ("https://index.docker.io/v1/", "docker.io"):
        scene = Scene(suite, mirror, logins.auths(key), rules=LENIENT)
        scene.manifest(["nginx:1.25"])
        undecided(scene, f"a mirror does not get the password of {key}")


def helpers(suite, registry, settings, texts, kind):
    """A credential helper that answers, one that fails, one that knows nothing, one that is missing."""
    checks, what = suite.checks, f"{registry.name} {kind}"
    folder = suite.work / f"helpers-{what.replace(' ', '-')}"
    folder.mkdir()
    log = folder / "log"
    log.touch()
    answer = json.dumps({"ServerURL": registry.host, "Username": logins.USER, "Secret": logins.PASSWORD})
    scripts = {
        "right": f"read -r host\necho \"$1 $host\" >>'{log}'\ncat <<'END'\n{answer}\nEND\n",
        "wrong": f"cat >/dev/null\ncat <<'END'\n{answer.replace(logins.PASSWORD, logins.WRONG)}\nEND\n",
        "failing": f"cat >/dev/null\necho 'locked: {logins.PASSWORD}'\nexit 1\n",
        "chatty": f"cat >/dev/null\necho 'not JSON {logins.PASSWORD}'\n",
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


def tokens(suite, registry):
    """A token endpoint: a password, a refresh token, a wrong password, a foreign realm."""
    checks, host = suite.checks, registry.host
    suite.push(registry, FEW)
    settings = suite.settings(registry)
    full_circle(suite, registry, FEW, settings, logins.auths(host))
    texts = [f"{host}/{name}" for name in FEW]
    for case, login in {"no password": None, "a wrong password": logins.auths(host, logins.WRONG)}.items():
        scene = Scene(suite, settings, login, rules=LENIENT)
        scene.manifest(texts)
        undecided(scene, f"tokens: {case}")

    refresh = {"auths": {host: {"auth": base64.b64encode(f"{logins.USER}:".encode()).decode(),
                                "identitytoken": logins.REFRESH}}}
    scene = Scene(suite, settings, refresh)
    scene.manifest(texts)
    before = len(suite.tokens.asked)
    scene.expect(0, "tokens: pin with an identity token", "pin")
    asked = suite.tokens.asked[before:]
    checks.equal({method for method, _, _ in asked}, {"POST"}, "tokens: an identity token is posted")
    checks.equal(len(asked), len(FEW), "tokens: one token for each repository")
    scopes = sorted(scope for _, _, scopes in asked for scope in scopes)
    checks.equal(scopes, sorted(f"repository:{name.rsplit(':', 1)[0]}:pull" for name in FEW), "tokens: to read, no more")


def foreign_realm(suite, registry):
    """A registry that sends us to a realm on another host or port, of which the settings know nothing, gets no
    credentials out of us."""
    scene = Scene(suite, [{"prefix": registry.host, "insecure": True}], logins.auths(registry.host), rules=LENIENT)
    scene.manifest([f"{registry.host}/library/nginx:1.25"])
    before = len(suite.tokens.asked)
    undecided(scene, "a foreign realm")
    suite.checks.equal(suite.tokens.asked[before:], [], "a foreign realm is not even asked")
