#!/usr/bin/env python3
"""Small projects of our own, composed by the tools that they are written for, before a pin and after it.

What `kustomize build`, `helm template` and the loader of `docker compose` make of a pinned project must be what they
made of it before, with the digest of exactly that image behind every image. A tool that is missing is said aloud, and
in CI (`run` sees to that) a failure.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import documents
from checks import Checks, Plimsoll, end_on_signals
from corpus import pinned_text, split
from every_image import EveryImage, digest

PROJECTS = Path(__file__).resolve().parent / "projects"

# Each project and the command that composes it.
TOOLS = [
    ("kustomize", ["kustomize", "build", "base"]),
    ("kustomize", ["kustomize", "build", "overlays/production"]),
    ("helm", ["helm", "template", "shop", "."]),
    ("compose", ["plimsoll-interop-compose", ".", "compose.yaml"]),
]


# What a project builds by itself: the name of an output, which no pin may touch.
BUILT = "ghcr.io/acme/built"


def composed(command, folder):
    """What a tool makes of a project."""
    environment = {"PATH": str(Path(shutil.which(command[0])).parent), "HOME": str(folder.parent)}
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode, done.stdout, done.stderr.decode()


def with_digest(text, added):
    """Whether `added` is the image `text` with the digest of that image: its tag may have gone, for a digest rules."""
    if text == BUILT:
        return added == text
    repository, name, tag, _ = split(text)
    return added in (pinned_text(text), f"{name}@{digest(repository, tag or 'latest')}")


def prove(checks, plimsoll, registry, project, command, work):
    """One project by one tool."""
    name = " ".join(command)
    tree, config = work / "tree", work / "gate.yaml"
    shutil.copytree(PROJECTS / project, tree)
    config.write_text(registry.settings())
    code, before, said = composed(command, tree)
    if not checks.equal(code, 0, f"{name}: before the pin", said):
        return
    ran = plimsoll.run("pin", "--no-policy", "--config", config, ".", cwd=tree)
    checks.equal(ran.code, 0, f"{name}: pin", ran)
    code, after, said = composed(command, tree)
    if not checks.equal(code, 0, f"{name}: after the pin", said):
        return
    old, new = documents.images(before), documents.images(after)
    wrong = [(a, b) for a, b in zip(old, new) if not with_digest(a, b)]
    checks.that(len(old) == len(new) and old and not wrong, f"{name}: composes the pinned images", wrong or (old, new))
    try:
        found = documents.differences("composed", before, after)
        odd = [pair for pair in found.values() if not with_digest(*(text.partition("docker-image://")[2] or text for
                                                                    text in pair))]
        checks.equal(odd, [], f"{name}: composes nothing else")
    except ValueError as error:
        checks.that(False, f"{name}: composes nothing else", error)
    print(f"tools: {name}: {len(new)} images", flush=True)


def main():
    """Every project by its tool."""
    end_on_signals()
    checks, registry = Checks("tools"), EveryImage()
    try:
        with tempfile.TemporaryDirectory(prefix="plimsoll-tools-") as work:
            plimsoll = Plimsoll(Path(work) / "home")
            for number, (project, command) in enumerate(TOOLS):
                if not shutil.which(command[0]):
                    print(f"tools: {command[0]} is missing: nothing is shown of {project}", flush=True)
                    continue
                place = Path(work) / str(number)
                place.mkdir()
                prove(checks, plimsoll, registry, project, command, place)
    finally:
        registry.stop()
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
