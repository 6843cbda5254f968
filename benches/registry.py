#!/usr/bin/env python3
"""How long plimsoll and other tools take to learn the digests of many images from a registry that is far away.

    tests/interop/run benchmark [--repositories 100 1000] [--rounds 3] [--open] [--bearer] [--quick]

fetches the tools and runs this script, which prints Markdown. The registry (benches/registry/main.go) waits 50 ms before
it answers a request, as one in another part of the world does, and counts what each tool asks. All tools run in turn,
round by round, and must come to the same digests. PLIMSOLL names the program; without it, the release build.
"""

import argparse
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
SERVER = "plimsoll-bench-registry"


class Registry:
    """The benchmark's registry, with a delay in milliseconds; it ends with this object, or with this script."""

    def __init__(self, delay, bearer=False):
        command = [SERVER, f"-delay={delay}ms", *(["-bearer"] if bearer else [])]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port, self.control = map(int, self.process.stdout.readline().split())
        self.host = f"localhost:{self.port}"

    def taken(self):
        """The counts since the last call."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}/", timeout=10) as answer:
            return json.load(answer)

    def per_second(self, requests, workers):
        """How many requests a second it answers to a client that does nothing else."""
        command = [SERVER, f"-load=http://{self.host}", f"-requests={requests}", f"-workers={workers}"]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def stop(self):
        """End it."""
        self.process.stdin.close()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.stop()


class Place:
    """A folder for one run, with the files that the tools want, and an environment that knows no other."""

    def __init__(self, top, images):
        self.folder = Path(tempfile.mkdtemp(dir=top))
        (self.folder / "images.txt").write_text("".join(f"{image}\n" for image in images))
        objects = ["apiVersion: v1\nkind: Pod\nmetadata: {name: p%d}\nspec:\n  containers:\n    - name: c\n      image: %s\n"
                   % pair for pair in enumerate(images)]
        (self.folder / "k8s").mkdir()
        (self.folder / "k8s" / "pods.yaml").write_text("---\n".join(objects))
        jobs = [f"j{number}:\n  image: {image}\n  script: [\"true\"]\n" for number, image in enumerate(images)]
        (self.folder / "gitlab.yml").write_text("".join(jobs))
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8",
                            "XDG_CACHE_HOME": str(self.folder / "cache"), "XDG_RUNTIME_DIR": str(self.folder)}


def tools(plimsoll, host):
    """The tools: what the table calls them, their command, what to prepare, and the most images that they are asked for
    (one process after another for a thousand images measures patience)."""
    each = {
        "crane digest": "crane digest",
        "skopeo inspect": "skopeo --override-os=linux --override-arch=amd64 inspect --no-tags --tls-verify=false "
                          "--format={{.Digest}} docker://",
        "regctl image digest": "regctl image digest",
        "frizbee image": "frizbee image",
    }
    no_tls = ["regctl", "registry", "set", "--tls", "disabled", host]
    found = []
    if "  resolve " in subprocess.run([plimsoll, "--help"], capture_output=True, text=True).stdout:
        found.append(("`plimsoll resolve`", f"xargs -a images.txt {plimsoll} resolve", None, None))
    found.append(("`plimsoll pin --no-policy --diff`", f"{plimsoll} pin --no-policy --diff k8s", None, None))
    found.append(("`ratchet pin`, at its default of one at a time", "ratchet pin -parser gitlabci gitlab.yml", None, 100))
    found.append(("`ratchet pin -concurrency 32`", "ratchet pin -parser gitlabci -concurrency 32 gitlab.yml", None, None))
    for name, command in each.items():
        # No blank between `docker://` and the image, which `{}` is in the place of.
        command += "{}" if command.endswith("//") else " {}"
        before = no_tls if name.startswith("regctl") else None
        found.append((f"`{name}`, one image after another", f"xargs -a images.txt -I{{}} {command}", before, 100))
        found.append((f"`{name}`, 32 processes at a time", f"xargs -a images.txt -P 32 -I{{}} {command}", before, None))
    return [tool for tool in found if shutil.which(re.search(r"`([a-z]+)", tool[0])[1]) or "plimsoll" in tool[0]]


def measure(place, command):
    """Run a command in a place: seconds on the clock, of work, and the peak of memory in bytes, all children included."""
    with open(place.folder / "out", "wb") as out, open(place.folder / "err", "wb") as err:
        subprocess.run([SERVER, f"-usage={place.folder / 'usage'}", *command.split()], cwd=place.folder,
                       env=place.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    seconds, work, kilobytes = (place.folder / "usage").read_text().split()
    return float(seconds), float(work), int(kilobytes) * 1024


def digests(place):
    """Every digest that a tool printed or wrote."""
    files = [place.folder / "out", place.folder / "gitlab.yml", *(place.folder / "k8s").iterdir()]
    return {digest for path in files for digest in DIGEST.findall(path.read_text("utf-8", "replace"))}


def compare(plimsoll, top, registry, number, rounds, only):
    """Every tool in turn, round by round; {name: its runs}."""
    images = [f"{registry.host}/bench/r{one}:1" for one in range(number)]
    runs, right = {}, None
    for turn in range(rounds):
        for name, command, before, most in tools(plimsoll, registry.host):
            if number > (most or number) or (only and not re.search(only, name)):
                continue
            place = Place(top, images)
            if before:
                subprocess.run(before, check=True, cwd=place.folder, env=place.environment, capture_output=True)
            registry.taken()
            seconds, work, memory = measure(place, command)
            found = digests(place)
            right = right or found
            if len(found) != number or found != right:
                said = (place.folder / "err").read_text("utf-8", "replace")[-300:]
                print(f"{name}: {len(found)} digests of {number}, left out: {said}", file=sys.stderr)
            else:
                runs.setdefault(name, []).append((seconds, work, memory, registry.taken()))
            print(f"round {turn + 1} of {rounds}, {number} images: {name}: {seconds:.2f} s", file=sys.stderr)
            shutil.rmtree(place.folder)
    return runs


def row(cells):
    """A line of a Markdown table."""
    print("| " + " | ".join(map(str, cells)) + " |")


def table(runs, number, bearer, delay, jobs):
    """What a comparison found. The floor is that of a client with `jobs` requests under way that never waits for itself."""
    first = next(iter(runs.values()))
    best = statistics.median(run[0] for run in first)
    # The first challenge comes before everything; then each repository wants a token and an answer, one after another.
    trips = (1 if bearer else 0) + (2 if bearer else 1) * math.ceil(number / jobs)
    floor = delay / 1000 * trips
    row(["Tool", "Seconds, median (least to most)", "To the floor", "To the first line", "Of work", "Requests",
         "of which", "At once", "Connections", "Peak memory"])
    row(["---"] * 10)
    row([f"the floor: {trips} round trips with {jobs} under way", f"{floor:.2f}", "1.0", "", "", "", "", "", "", ""])
    if not bearer:
        # Who may be challenged only once asks once, and waits for the answer, before anything else.
        careful = 1 + math.ceil((number - 1) / jobs)
        row([f"the same, the first request alone: {careful} round trips", f"{delay / 1000 * careful:.2f}",
             f"{careful / trips:.1f}", "", "", "", "", "", "", ""])
    for name, each in runs.items():
        seconds = [run[0] for run in each]
        middle = statistics.median(seconds)
        counts = each[-1][3]
        kinds = {kind: count for kind, count in counts.items() if kind not in ("connections", "at_once")}
        row([name, f"{middle:.2f} ({min(seconds):.2f}–{max(seconds):.2f})", f"{middle / floor:.1f}", f"{middle / best:.1f}",
             f"{statistics.median(run[1] for run in each):.2f}", sum(kinds.values()),
             ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())), counts["at_once"],
             counts["connections"], f"{max(run[2] for run in each) / 1e6:.0f} MB"])
    print()


def flat(plimsoll, top, sizes):
    """Peak memory of plimsoll over numbers of references, with a registry that does not wait."""
    row(["References", "Digests only", "With content: an index and the manifests of its platforms"])
    row(["---"] * 3)
    with Registry(0) as registry:
        for size in sizes:
            cells = []
            for prefix, command in [("bench", "pin --no-policy --diff k8s"), ("multi", "check k8s --no-cache")]:
                place = Place(top, [f"{registry.host}/{prefix}/r{number}:1" for number in range(size)])
                (place.folder / "plimsoll.yaml").write_text(
                    "apiVersion: plimsoll.dev/v1\nkind: ImagePolicy\nmetadata: {name: bench}\nspec:\n  statements:\n"
                    "    - name: all\n      match: [\"**\"]\n      rules: {image-size: {max: 500MiB}}\n")
                if "--no-cache" not in subprocess.run([plimsoll, "check", "--help"], capture_output=True, text=True).stdout:
                    command = command.replace(" --no-cache", "")
                registry.taken()
                seconds, _, memory = measure(place, f"{plimsoll} {command}")
                requests = sum(count for kind, count in registry.taken().items() if kind not in ("connections", "at_once"))
                cells.append(f"{memory / 1e6:.0f} MB ({requests:,} requests, {seconds:.1f} s)")
                shutil.rmtree(place.folder)
            row([f"{size:,}", *cells])
    print()


def machine():
    """A line about this machine."""
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown processor")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} processors ({model}), {memory:.0f} GB of memory, load {load:.1f} before the first run"


def main():
    """All of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repositories", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--delay", type=int, default=50, help="milliseconds a request")
    parser.add_argument("--open", action="store_true", help="only the registry that asks for no token")
    parser.add_argument("--bearer", action="store_true", help="only the one that does")
    parser.add_argument("--only", help="only the tools whose name this pattern finds")
    parser.add_argument("--no-memory", action="store_true", help="leave the table of memory out")
    parser.add_argument("--quick", action="store_true", help="one round of 100 repositories, and memory up to 1,000")
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.repositories = 1, [100]
    plimsoll = os.environ.get("PLIMSOLL", str(Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/plimsoll"))
    plimsoll = str(Path(plimsoll).resolve())
    help_text = subprocess.run([plimsoll, "pin", "--help"], check=True, capture_output=True, text=True).stdout
    jobs = int(re.search(r"--jobs <N>.*?\[default: (\d+)\]", help_text, re.DOTALL)[1])
    print("## A registry that is far away\n")
    print(f"`tests/interop/run benchmark {' '.join(sys.argv[1:])}`".replace(" `", "`") + f" printed this section: {machine()}.")
    with Registry(0) as registry:
        print(f"The registry answers {registry.per_second(20_000, 64):,.0f} requests a second when it does not wait", end="")
    with Registry(asked.delay) as registry:
        print(f", and {registry.per_second(4_000, 128):,.0f} to 128 clients at a time with the delay of {asked.delay} ms"
              f" (of {128_000 / asked.delay:,.0f} that there could be).\n")
    print(f"Every request, one for a token too, is answered after {asked.delay} ms. The tools take turns, round by round, each in "
          "a home of its own, and must\ncome to the same digests. Requests and connections are those that the registry "
          "counted; work is processor time. A client\nthat had its requests answered at once with others, never waited for "
          "itself and asked no more than it must would take the\ntime of the floor. kbld is left out: it can't be fetched as "
          "a Go module. frizbee is asked image by image, because over a\nfolder it found none of these names.\n")
    with tempfile.TemporaryDirectory(prefix="plimsoll-bench-") as top:
        for bearer in [way for way, other in ((False, asked.bearer), (True, asked.open)) if not other]:
            for number in asked.repositories:
                with Registry(asked.delay, bearer) as registry:
                    runs = compare(plimsoll, top, registry, number, asked.rounds, asked.only)
                print(f"{number:,} repositories, {'a token for each' if bearer else 'no tokens'}, {asked.rounds} rounds:\n")
                table(runs, number, bearer, asked.delay, jobs)
                sys.stdout.flush()
        if not asked.no_memory:
            flat(plimsoll, top, [100, 1000] if asked.quick else [100, 1000, 10_000])
    return 0


if __name__ == "__main__":
    sys.exit(main())
