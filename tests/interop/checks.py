"""Counts of what held and what did not, and how plimsoll is run: with a scrubbed environment and its output kept."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"


class Checks:
    """The checks of one part; a failure is shown at once, a success is counted."""

    def __init__(self, part):
        self.part = part
        self.passed = 0
        self.failed = 0

    def that(self, holds, what, detail=""):
        """Count one check; `detail` is shown when it fails."""
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAIL {self.part}: {what}", flush=True)
            for line in str(detail).splitlines()[:30]:
                print("     " + line[:400], flush=True)
        return bool(holds)

    def equal(self, found, wanted, what, also=""):
        """Count one comparison; `also` is shown beside the two values when they differ."""
        return self.that(found == wanted, what, f"wanted {wanted!r}\nfound  {found!r}\n{also}")

    def close(self):
        """Print the counts; the exit code."""
        print(f"{self.part}: {self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


class Ran:
    """What one run of a program left: its exit code and its output."""

    def __init__(self, command, code, out, err):
        self.command, self.code, self.out, self.err = command, code, out, err

    def __str__(self):
        shown = " ".join(map(str, self.command))
        return f"{shown}\nexit code {self.code}\n{self.err[-3000:]}\n{self.out[:3000]}"


class Plimsoll:
    """The program under test; every word it prints is kept for `transcript`."""

    def __init__(self, home):
        self.program = program()
        self.home = Path(home)
        self.transcript = []

    def help(self, *command):
        """What it says of a command, or of itself."""
        return subprocess.run([self.program, *command, "--help"], capture_output=True, text=True).stdout

    def knows(self, command):
        """Whether there is such a command."""
        return f"\n  {command} " in self.help()

    def environment(self, **more):
        """Nothing of the caller's environment but the search path, and nothing of the machine's own settings."""
        clean = {"PLIMSOLL_ETC": str(self.home / "etc"), "PATH": os.environ["PATH"],
                 "HOME": str(self.home), "LANG": "C.UTF-8",
                 "XDG_CACHE_HOME": str(self.home / "cache"), "XDG_CONFIG_HOME": str(self.home / "config")}
        clean.update(more)
        return clean

    def run(self, *arguments, cwd, timeout=600, **more):
        """Run it to its end; `more` goes into its environment."""
        command = [self.program, *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, env=self.environment(**more), timeout=timeout,
                              stdin=subprocess.DEVNULL, capture_output=True)
        ran = Ran(["plimsoll", *arguments], done.returncode,
                  done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
        self.transcript.append(str(ran.out) + ran.err)
        return ran


def program():
    """The binary: PLIMSOLL, or the release build of this checkout."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(os.environ.get("PLIMSOLL", target / "release" / "plimsoll"))
    if not path.is_file():
        sys.exit(f"{path} is not there; build it (cargo build --release) or name one in PLIMSOLL")
    return str(path.resolve())


def end_on_signals():
    """A signal ends the script through its `finally` clauses, so that no server outlives it."""
    def end(number, _frame):
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)


def contents(folder):
    """Every file below a folder, as {path: bytes}."""
    folder = Path(folder)
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def identities(folder):
    """What changes when a file is replaced, written or given another mode, as {path: identity}."""
    folder = Path(folder)
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            stat = path.stat()
            found[path.relative_to(folder).as_posix()] = (stat.st_ino, stat.st_mtime_ns, stat.st_mode)
    return found
