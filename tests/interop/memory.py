#!/usr/bin/env python3
"""Peak memory where a registry could make it grow: ten thousand references, and manifests of 1.5 GB.

The registry is that of the benchmark (benches/registry), without its delay. It runs plimsoll too, because a process
starts with the peak of the one that it was forked from, and Python's is too high.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from checks import Checks, Plimsoll, end_on_signals

SERVER = "plimsoll-bench-registry"
MOST = 64_000_000
MANY = 10_000


class Registry:
    """The benchmark's registry, which ends when this script does."""

    def __init__(self, *options):
        self.process = subprocess.Popen([SERVER, "-delay=0", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.port, self.control = map(int, self.process.stdout.readline().split())
        self.host = f"localhost:{self.port}"

    def taken(self):
        """What was asked since the last call."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}/", timeout=10) as answer:
            return json.load(answer)

    def stop(self):
        """End it."""
        self.process.stdin.close()
        self.process.wait(10)


def measured(plimsoll, folder, *arguments):
    """Run it in a folder: exit code, peak memory in bytes, standard output, standard error."""
    command = [SERVER, f"-usage={folder.parent / 'usage'}", plimsoll.program, *arguments]
    done = subprocess.run(command, cwd=folder, env=plimsoll.environment(), stdin=subprocess.DEVNULL, capture_output=True)
    kilobytes = int((folder.parent / "usage").read_text().split()[2])
    return done.returncode, kilobytes * 1024, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def tree(folder, images, rule):
    """Pods with these images, and a policy with one rule."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "pods.yaml").write_text("---\n".join(
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}}}\nspec:\n  containers:\n    - name: c\n      image: {image}\n"
        for number, image in enumerate(images)))
    (folder / "plimsoll.yaml").write_text(
        "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nmetadata: {name: memory}\nspec:\n  statements:\n"
        f"    - name: all\n      match: [\"**\"]\n      rules: {{{rule}}}\n")


def many(checks, plimsoll, registry, folder, login):
    """Ten thousand references: digests alone, and an index with the manifests of two platforms for each."""
    cases = {"digests only": ("bench", "mutable-tag: {deny: [latest]}", MANY),
             "with content": ("multi", "image-size: {max: 500MiB}", 3 * MANY)}
    for case, (prefix, rule, least) in cases.items():
        tree(folder, [f"{registry.host}/{prefix}/r{number}:1" for number in range(MANY)], rule)
        registry.taken()
        code, memory, out, err = measured(plimsoll, folder, "check", "--format", "json")
        counts = registry.taken()
        asked = sum(counts.get(kind, 0) for kind in ("head", "get"))
        what = f"{MANY:,} references, {login}, {case}"
        print(f"memory: {what}: {memory / 1e6:.1f} MB, {counts}", flush=True)
        if checks.equal(code, 0, f"{what}: all allowed", err[-2000:]):
            summary = json.loads(out)["summary"]
            checks.equal((summary["references"], summary["allow"]), (MANY, MANY), f"{what}: and all of them judged")
        checks.that(asked >= least, f"{what}: each was asked for", counts)
        checks.that(memory < MOST, f"{what}: below {MOST / 1e6:.0f} MB", f"{memory / 1e6:.1f} MB")


def huge(checks, plimsoll, registry, folder):
    """Manifests that never end: undecided, and no more read of them than the limit."""
    for name in ("zeros", "spaces", "endless"):
        tree(folder, [f"{registry.host}/huge/{name}:1"], "image-size: {max: 500MiB}")
        for command in (["check"], ["pin"], ["pin", "--no-policy"]):
            code, memory, out, err = measured(plimsoll, folder, *command, "--format", "json")
            what = f"1.5 GB of {name}: {' '.join(command)}"
            print(f"memory: {what}: {memory / 1e6:.1f} MB", flush=True)
            checks.equal(code, 3, f"{what}: is undecided", f"{err[-500:]}\n{out[-2000:]}")
            checks.that(memory < MOST, f"{what}: below {MOST / 1e6:.0f} MB", f"{memory / 1e6:.1f} MB")


def main():
    """All of it."""
    if not shutil.which(SERVER):
        print("memory: the registry of the benchmark is not here: nothing is shown of memory", flush=True)
        return 0
    end_on_signals()
    checks, started = Checks("memory"), []
    with tempfile.TemporaryDirectory(prefix="plimsoll-memory-") as work:
        try:
            plimsoll = Plimsoll(Path(work) / "home")
            plimsoll.home.mkdir()
            for options, login in ((["-bearer"], "a token for each repository"), ([], "no tokens")):
                started.append(Registry(*options))
                many(checks, plimsoll, started[-1], Path(work) / "tree", login)
            huge(checks, plimsoll, started[-1], Path(work) / "tree")
        finally:
            for registry in started:
                registry.stop()
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
