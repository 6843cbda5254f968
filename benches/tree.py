"""Time and peak memory of `plimsoll list` over git trees of growing size with the same images, beside searches for a word.

Usage: python3 benches/tree.py [PROGRAM] [--sizes 10000,50000,100000] [--rounds 5] [--keep FOLDER]
PROGRAM is target/release/plimsoll unless named. `rg` is measured where PATH has one. Nothing is asserted.

Each tree holds 3,000 files that name images (Kubernetes objects, Dockerfiles, compose files, workflows) and, up to its
size, source code, documents, JSON, and YAML and JSON without images. It is the same on every machine.
"""
import argparse
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

NAMING = 3_000
WORDS = (
    "account address amount buffer cache channel client cluster column commit config count cursor customer data default "
    "driver entry error event export field file filter folder format frame handle header image index input item label "
    "layer limit list lock message method model module name node object order output owner packet page parser path "
    "payment pixel place policy port query queue record region report request result role row schema scope server "
    "service session shape signal size source span stack state status stream string table target task template test "
    "thread token total trace tree type unit update user value version view volume watch width window worker zone"
).split()
REGISTRIES = ("", "library/", "ghcr.io/acme/", "registry.example.com/team/", "quay.io/acme/", "docker.io/acme/")


def image(rng):
    return f"{rng.choice(REGISTRIES)}{rng.choice(WORDS)}-{rng.choice(WORDS)}:{rng.randrange(9)}.{rng.randrange(30)}"


def kubernetes(rng):
    name = f"{rng.choice(WORDS)}-{rng.randrange(9999)}"
    containers = "".join(
        f"        - name: c{at}\n          image: {image(rng)}\n          ports: [{{containerPort: {8000 + at}}}]\n"
        for at in range(rng.randrange(1, 4))
    )
    return (
        f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  labels: {{app: {name}}}\nspec:\n"
        f"  replicas: {rng.randrange(1, 9)}\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n"
        f"    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      containers:\n{containers}"
    )


def dockerfile(rng):
    runs = "".join(f"RUN apt-get install -y {rng.choice(WORDS)} && make {rng.choice(WORDS)}\n" for _ in range(6))
    return f"FROM {image(rng)} AS build\nWORKDIR /src\nCOPY . .\n{runs}FROM {image(rng)}\nCOPY --from=build /src /app\n"


def compose(rng):
    services = "".join(
        f"  {rng.choice(WORDS)}{at}:\n    image: {image(rng)}\n    environment: {{A: b}}\n    ports: ['{8000 + at}:80']\n"
        for at in range(rng.randrange(1, 5))
    )
    return f"services:\n{services}"


def workflow(rng):
    steps = "".join(f"      - run: make {rng.choice(WORDS)}\n" for _ in range(8))
    return (
        f"on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    container: {image(rng)}\n    services:\n"
        f"      db:\n        image: {image(rng)}\n    steps:\n      - uses: actions/checkout@v4\n{steps}"
    )


def code(rng):
    lines = (
        f"    let {rng.choice(WORDS)}_{rng.choice(WORDS)} = {rng.choice(WORDS)}.{rng.choice(WORDS)}({rng.randrange(99)});"
        for _ in range(rng.randrange(10, 90))
    )
    return f"fn {rng.choice(WORDS)}() {{\n" + "\n".join(lines) + "\n}\n"


def prose(rng):
    return "\n".join(" ".join(rng.choices(WORDS, k=12)) for _ in range(rng.randrange(5, 40))) + "\n"


def settings_json(rng):
    fields = ",\n".join(f'  "{rng.choice(WORDS)}{at}": {{"{rng.choice(WORDS)}": {at}}}' for at in range(rng.randrange(5, 60)))
    return f"{{\n{fields}\n}}\n"


def settings_yaml(rng):
    return "".join(
        f"{rng.choice(WORDS)}{at}:\n  {rng.choice(WORDS)}: {rng.choice(WORDS)}\n  {rng.choice(WORDS)}s: [1, 2]\n"
        for at in range(rng.randrange(5, 40))
    )


def write(root, path, text):
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def make(root, size):
    """A git work tree of `size` files, all of them in its index."""
    rng = random.Random(1)
    for at in range(NAMING):
        folder, kind = f"team{at % 60}/app{at}", at % 10
        if kind < 4:
            write(root, f"{folder}/deploy/app.yaml", kubernetes(rng))
        elif kind < 7:
            write(root, f"{folder}/Dockerfile", dockerfile(rng))
        elif kind < 9:
            write(root, f"{folder}/compose.yaml", compose(rng))
        else:
            write(root, f".github/workflows/app{at}.yml", workflow(rng))
    rng = random.Random(2)
    for at in range(size - NAMING):
        folder, kind = f"team{at % 60}/src{at // 600}", at % 20
        if kind < 12:
            write(root, f"{folder}/f{at}.{('rs', 'go', 'py', 'ts')[at % 4]}", code(rng))
        elif kind < 14:
            write(root, f"{folder}/f{at}.md", prose(rng))
        elif kind < 17:
            write(root, f"{folder}/f{at}.json", settings_json(rng))
        else:
            write(root, f"{folder}/f{at}.yaml", settings_yaml(rng))
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for arguments in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", "-c", "gc.auto=0", *arguments], cwd=root, check=True, env=environment)


def measure(command, root):
    """Seconds on the clock, seconds of work with all children, and the peak memory of the process itself in MB."""
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL)
    own = 0

    def watch():
        nonlocal own
        while process.returncode is None:
            try:
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                return
            # of the program itself, not of this one that starts it
            if "VmHWM" in status and f"Name:\t{pathlib.Path(command[0]).name[:15]}\n" in status:
                own = max(own, int(status.split("VmHWM:")[1].split()[0]))
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    assert process.returncode == 0, (command, process.returncode)
    return seconds, usage.ru_utime + usage.ru_stime, own / 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?", default="target/release/plimsoll")
    parser.add_argument("--sizes", default="10000,50000,100000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", help="a folder where the trees stay for the next time")
    arguments = parser.parse_args()
    program = str(pathlib.Path(arguments.program).resolve())
    commands = {
        "plimsoll list": [program, "list"],
        "git ls-files --stage": ["git", "ls-files", "-z", "--stage"],
        "git ls-files --others": ["git", "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"],
        "rg -l image": ["rg", "-l", "--hidden", "--glob=!.git", "image"],
        "grep -rl image": ["grep", "-rl", "--exclude-dir=.git", "image", "."],
    }
    if not shutil.which("rg"):
        del commands["rg -l image"]
    base = pathlib.Path(arguments.keep or tempfile.mkdtemp())
    print("| Files | Command | Seconds, median (least to most) | of work | Peak memory |\n|---|---|---|---|---|")
    try:
        for size in map(int, arguments.sizes.split(",")):
            root = base / f"tree-{size}"
            if not (root / ".git" / "index").exists():
                make(root, size)
            rows = {name: [] for name in commands}
            for name, command in commands.items():
                measure(command, root)
            for _ in range(arguments.rounds):
                for name, command in commands.items():
                    rows[name].append(measure(command, root))
            for name, taken in rows.items():
                seconds = [row[0] for row in taken]
                work, memory = (statistics.median(row[at] for row in taken) for at in (1, 2))
                print(
                    f"| {size:,} | `{name}` | {statistics.median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f}) "
                    f"| {work:.2f} | {memory:.0f} MB |",
                    flush=True,
                )
    finally:
        if not arguments.keep:
            shutil.rmtree(base)


main()
