#!/usr/bin/env python3
"""Pins every case of fixtures/formats with the whole program, and reads both versions with a second reader."""

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import documents
import readers
from checks import FIXTURES, Checks, Plimsoll, contents, end_on_signals
from every_image import EveryImage

# The digest that the fixtures stand in for every new one.
ONES = "1" * 64
# What a pin adds: behind a reference or its tag, or as a field of its own.
ADDED = re.compile(r"@sha256:[0-9a-f]{64}")
FIELD = re.compile(r"(sha256:)?[0-9a-f]{64}")


def one(case, stem):
    """The file of a case with that stem, or None."""
    found = [path for path in sorted(case.iterdir()) if path.is_file() and path.name.split(".")[0] == stem]
    return found[0] if found else None


def adds_digests(old, new):
    """Whether a text differs by digests that came in, `:latest` before them where no tag was, and in nothing else."""
    if FIELD.fullmatch(new):
        return not old or old in ("null", "~")
    digest = ADDED.search(new)
    if not digest:
        return old == new
    before = new[:digest.start()]
    choices = (before, before.removesuffix(":latest"), new[:digest.end()])
    return any(old.startswith(text) and adds_digests(old[len(text):], new[digest.end():]) for text in choices)


def prove(checks, plimsoll, registry, case, folder):
    """One case: the program writes the bytes of the fixture, and a second reader agrees; who read it."""
    source, wanted = one(case, "input"), one(case, "pinned")
    name = f"{case.parent.name}/{case.name}"
    path = (case / "path").read_text().strip() if (case / "path").exists() else source.name
    tree, config = folder / "tree", folder / "gate.yaml"
    file = tree / path
    file.parent.mkdir(parents=True)
    file.write_bytes(source.read_bytes())
    for place, data in contents(case / "beside").items():
        beside = file.parent / place
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
    others = {place: data for place, data in contents(tree).items() if place != path}
    config.write_text(registry.settings())
    arguments = ["pin", "--no-policy", "--allow-empty", "--as", case.parent.name, "--config", config, path]
    ran = plimsoll.run(*arguments, cwd=tree)
    checks.equal(ran.code, 0, f"{name}: pin", ran)
    old, pinned = source.read_bytes(), file.read_bytes()
    shown = pinned
    for _, digest in registry.issued:
        shown = shown.replace(digest.removeprefix("sha256:").encode(), ONES.encode())
    if wanted:
        checks.equal(shown, wanted.read_bytes(), f"{name}: the bytes of the fixture", ran)
    before = contents(tree)
    ran = plimsoll.run(*arguments, cwd=tree)
    checks.equal(contents(tree), before, f"{name}: a second pin changes nothing", ran)
    left = {place: data for place, data in before.items() if place != path}
    checks.that(left.keys() == others.keys(), f"{name}: no file comes or goes", sorted(left))
    if pinned == old:
        return "unchanged"
    reader = readers.of(path, {case.parent.name})
    if reader is None:
        return "without a reader"
    try:
        found = reader.differences(path, old, pinned)
    except documents.Unreadable:
        return f"unreadable for {reader.NAME}"
    except ValueError as error:
        checks.that(False, f"{name}: {reader.NAME}", error)
        return "wrong"
    odd = [(old, new) for old, new in found.values() if not adds_digests(old, new)]
    checks.equal(odd, [], f"{name}: {reader.NAME} sees digests come in and nothing else")
    checks.that(found, f"{name}: {reader.NAME} sees a digest come in")
    return f"read by {reader.NAME}"


def main():
    """Every case of every format."""
    end_on_signals()
    checks, registry, read = Checks("formats"), EveryImage(), Counter()
    try:
        with tempfile.TemporaryDirectory(prefix="plimsoll-formats-") as work:
            plimsoll = Plimsoll(Path(work) / "home")
            for number, case in enumerate(sorted((FIXTURES / "formats").glob("*/*/"))):
                folder = Path(work) / str(number)
                folder.mkdir()
                read[case.parent.name, prove(checks, plimsoll, registry, case, folder)] += 1
    finally:
        registry.stop()
    for (format_id, what), count in sorted(read.items()):
        print(f"formats: {format_id}: {count} {what}")
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
