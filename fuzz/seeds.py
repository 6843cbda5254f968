#!/usr/bin/env python3
"""Writes the first corpus of every format, fuzz/corpus/<format>/, from the files labelled by hand.

A seed is the path on a line of its own, the file, and, behind a mark, what lies beside it: see
tests/support/properties.rs.
"""

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BESIDE = b"\0beside\0"


def seed(source, path, beside=None):
    """The bytes of one seed."""
    data = path.encode() + b"\n" + source.read_bytes()
    return data if beside is None else data + BESIDE + beside.read_bytes()


def seeds(folder):
    """Every seed of one format: each case alone, and once with each file that lies beside it."""
    for case in sorted(path for path in folder.iterdir() if path.is_dir()):
        [source] = case.glob("input*")
        path = case / "path"
        path = path.read_text().strip() if path.exists() else source.name
        yield seed(source, path)
        for beside in sorted(path for path in (case / "beside").rglob("*") if path.is_file()):
            yield seed(source, path, beside)
    if folder.name == "kubernetes":
        for source in sorted((ROOT / "fixtures" / "kubernetes" / "labelled").iterdir()):
            yield seed(source, source.name)


def main():
    """All formats; a seed is named after its hash, so that another run writes the same files."""
    for folder in sorted((ROOT / "fixtures" / "formats").iterdir()):
        corpus = ROOT / "fuzz" / "corpus" / folder.name
        corpus.mkdir(parents=True, exist_ok=True)
        for data in seeds(folder):
            (corpus / hashlib.sha256(data).hexdigest()[:40]).write_bytes(data)


if __name__ == "__main__":
    main()
