#!/usr/bin/env python3
"""Pins every case of fixtures/formats with the whole program, and reads both versions with PyYAML."""

import re
import sys
import tempfile
from pathlib import Path

import documents
from checks import FIXTURES, Checks, Plimsoll, end_on_signals
from every_image import EveryImage

# The digest that the fixtures stand in for every new one.
ONES = "sha256:" + "1" * 64
PINNED = re.compile(r"@sha256:[0-9a-f]{64}$")


def prove(checks, plimsoll, registry, case, folder):
    """One case: the program writes the bytes of the fixture, and a second reader agrees with them."""
    [source], [wanted] = sorted(case.glob("input*")), sorted(case.glob("pinned*"))
    name = f"{case.parent.name}/{case.name}"
    file, config = folder / source.name, folder / "gate.yaml"
    file.write_bytes(source.read_bytes())
    config.write_text(registry.settings())
    arguments = ["pin", "--no-policy", "--as", case.parent.name, "--config", config, file.name]
    ran = plimsoll.run(*arguments, cwd=folder)
    checks.equal(ran.code, 0, f"{name}: pin", ran)
    pinned = file.read_bytes()
    shown = pinned
    for _, digest in registry.issued:
        shown = shown.replace(digest.encode(), ONES.encode())
    checks.equal(shown, wanted.read_bytes(), f"{name}: the bytes of the fixture", ran)
    plimsoll.run(*arguments, cwd=folder)
    checks.equal(file.read_bytes(), pinned, f"{name}: a second pin changes nothing")
    if source.suffix not in (".yaml", ".yml", ".json"):
        return None
    try:
        found = documents.differences(source.name, source.read_bytes(), wanted.read_bytes())
    except documents.Unreadable:
        return False
    except ValueError as error:
        checks.that(False, f"{name}: the second reader", error)
        return True
    odd = [(old, new) for old, new in found.values() if not PINNED.search(new) or not new.startswith(old)]
    checks.equal(odd, [], f"{name}: a second reader sees digests come in and nothing else")
    return True


def main():
    """Every case of every format."""
    end_on_signals()
    checks, registry = Checks("formats"), EveryImage()
    read = {True: 0, False: 0, None: 0}
    try:
        with tempfile.TemporaryDirectory(prefix="plimsoll-formats-") as work:
            plimsoll = Plimsoll(Path(work) / "home")
            for number, case in enumerate(sorted((FIXTURES / "formats").glob("*/*/"))):
                folder = Path(work) / str(number)
                folder.mkdir()
                read[prove(checks, plimsoll, registry, case, folder)] += 1
    finally:
        registry.stop()
    print(f"formats: {read[True]} cases read by the second reader, {read[False]} it can't read, {read[None]} not for it")
    return checks.close()


if __name__ == "__main__":
    sys.exit(main())
