#!/usr/bin/env python3
"""Kills `plimsoll pin` at random moments: after each kill every file is whole, its old or its new version.

    kill.py [--times N] [--seed N]

Half of the kills come at a random time of the run, half right after a random file was replaced, because all
replacing together takes only a small part of a run.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import documents
from checks import FIXTURES, Checks, Plimsoll, contents, end_on_signals

FILES = 40
IMAGES = ["nginx:1.25", "redis:7.2", "postgres:16", "busybox:1.36", "ghcr.io/acme/shop-web:2.4.0",
          "ghcr.io/acme/shop-worker:1.24", "registry.k8s.io/pause:3.10"]


def manifest(number):
    """One file: some workloads, so that its new version is longer than one block of the disk."""
    documents_ = []
    for part in range(12):
        image = IMAGES[(number + part) % len(IMAGES)]
        documents_.append(
            f"apiVersion: v1\nkind: Pod\nmetadata: {{name: app-{number}-{part}}}  # {'-' * 100}\n"
            f"spec:\n  containers:\n    - name: a\n      image: {image}\n    - {{name: b, image: \"{image}\"}}\n")
    return "---\n".join(documents_).encode()


class Folder:
    """The folder that is pinned, and both versions of every file."""

    def __init__(self, work, plimsoll):
        self.tree, self.plimsoll = work / "tree", plimsoll
        self.tree.mkdir()
        self.old = {f"{number:02}.yaml": manifest(number) for number in range(FILES)}
        config = work / "gate.yaml"
        config.write_text(json.dumps({"apiVersion": "plimsoll.dev/v1", "kind": "GateConfig", "spec": {
            "registries": [{"prefix": "*", "layout": str(FIXTURES / "registry")}]}}))
        self.arguments = ["--config", str(config), "."]
        self.new = {}

    def restore(self):
        """The old version of every file and nothing else."""
        for path in self.tree.iterdir():
            if path.name not in self.old:
                path.unlink()
        for name, data in self.old.items():
            path = self.tree / name
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)

    def pin(self):
        """A run to its end."""
        return self.plimsoll.run("pin", "--no-policy", *self.arguments, cwd=self.tree)

    def start(self):
        """A run that will be killed."""
        return subprocess.Popen([self.plimsoll.program, "pin", "--no-policy", *self.arguments], cwd=self.tree,
                                env=self.plimsoll.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_after(self, seconds):
        """Kill a run after a time; whether it was still running."""
        process = self.start()
        time.sleep(seconds)
        return self._kill(process)

    def kill_when_replaced(self, name):
        """Kill a run as soon as a file is another one; whether it was still running."""
        path = self.tree / name
        before = os.stat(path).st_ino
        process = self.start()
        deadline = time.monotonic() + 60
        while os.stat(path).st_ino == before and process.poll() is None and time.monotonic() < deadline:
            pass
        return self._kill(process)

    @staticmethod
    def _kill(process):
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL

    def state(self):
        """What stands in the folder: (torn files, files still old, leftovers)."""
        torn, old, left, seen = [], 0, [], set()
        for name, data in contents(self.tree).items():
            seen.add(name)
            if name not in self.old:
                left.append(name)
            elif data == self.old[name]:
                old += 1
            elif data != self.new[name]:
                torn.append(name)
        return torn + sorted(set(self.old) - seen), old, left


def main():
    """Kill it N times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=1000, help="how often it is killed (1000)")
    parser.add_argument("--seed", type=int, default=1876, help="of the random moments (1876)")
    chosen = parser.parse_args()
    end_on_signals()
    chance, checks, counts = random.Random(chosen.seed), Checks("kill"), Counter()
    with tempfile.TemporaryDirectory(prefix="plimsoll-kill-") as work:
        plimsoll = Plimsoll(Path(work) / "home")
        folder = Folder(Path(work), plimsoll)
        folder.restore()
        start = time.monotonic()
        ran = folder.pin()
        whole = time.monotonic() - start
        folder.new = contents(folder.tree)
        pinned = [text for data in folder.new.values() for text in documents.images(data)]
        if not checks.that(ran.code == 0 and sorted(folder.new) == sorted(folder.old) and
                           all("@sha256:" in text for text in pinned), "a run that nobody kills pins every file", ran):
            return checks.close()
        torn = []
        for number in range(chosen.times):
            if number % 3:  # every third run goes on where the one before was killed
                folder.restore()
            if chance.random() < 0.5:
                killed = folder.kill_after(chance.uniform(0, whole * 1.1))
            else:
                killed = folder.kill_when_replaced(f"{chance.randrange(FILES):02}.yaml")
            broken, old, left = folder.state()
            torn += [f"kill {number}: {name}" for name in broken]
            counts["killed" if killed else "ended before the kill"] += 1
            counts["before any file" if old == FILES else "after every file" if not old else "between files"] += 1
            counts["temporary files"] += len(left)
            if left and counts["listed beside temporary files"] < 20:
                counts["listed beside temporary files"] += 1
                listed = plimsoll.run("list", "--format", "json", *folder.arguments, cwd=folder.tree)
                report = json.loads(listed.out)
                sources = {os.path.normpath(row["file"]) for row in report["references"] + report["unread"]}
                checks.equal(sources, set(folder.old), f"kill {number}: temporary files are not read as sources", left)
        checks.equal(torn, [], f"after each of {chosen.times} kills every file is whole")
        # From whatever the last kill left, a run that nobody kills completes.
        ran = folder.pin()
        broken, old, left = folder.state()
        checks.equal((ran.code, broken, old), (0, [], 0), "a final run completes", ran)
        folder.restore()
        ran = folder.pin()
        checks.equal((ran.code, contents(folder.tree)), (0, folder.new), "and one from the start too", ran)
        checks.that(counts["killed"], "some runs were killed", counts)
    print(f"kill: a whole run takes {whole * 1000:.0f} ms; " +
          ", ".join(f"{count} {what}" for what, count in sorted(counts.items())), flush=True)
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
