"""A second reader of Dockerfiles: BuildKit's own parser (tests/interop/go/dockerfile), which `run` builds."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from documents import Unreadable

NAME = "BuildKit's parser"
PROGRAM = "plimsoll-interop-dockerfile"


def is_there():
    """Whether the program was built."""
    return shutil.which(PROGRAM) is not None


def read(data):
    """What BuildKit's parser makes of a file: escape, syntax and instructions."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Dockerfile"
        path.write_bytes(data)
        [found] = json.loads(subprocess.run([PROGRAM, path], check=True, stdout=subprocess.PIPE).stdout).values()
    if "error" in found:
        raise Unreadable(found["error"])
    return found


def differences(_path, old, new):
    """The words, flags and directives in which two Dockerfiles differ, as {(line, number): (old text, new text)}.

    Raises Unreadable where BuildKit can't parse the old one, ValueError where anything else differs.
    """
    old, new = read(old), read(new)
    found = {}
    if old["syntax"] != new["syntax"]:
        found[0, 0] = (old["syntax"], new["syntax"])
    before, after = old["instructions"], new["instructions"]
    if old["escape"] != new["escape"] or len(before) != len(after):
        raise ValueError(f"{len(before)} instructions became {len(after)}")
    if ("refused" in old) != ("refused" in new):
        raise ValueError(f"BuildKit refuses it: {new.get('refused', 'no more')}")
    for one, other in zip(before, after):
        for field in ("name", "heredocs", "first", "last"):
            if one[field] != other[field]:
                raise ValueError(f"line {one['first']}: {field} {one[field]} became {other[field]}")
        texts = [(one[field] or [], other[field] or []) for field in ("flags", "words")]
        if any(len(a) != len(b) for a, b in texts):
            raise ValueError(f"line {one['first']}: {texts}")
        for number, (a, b) in enumerate(pair for a, b in texts for pair in zip(a, b)):
            if a != b:
                found[one["first"], number] = (a, b)
    return found
