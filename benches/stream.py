#!/usr/bin/env python3
"""Concatenates the Kubernetes corpus ($PLIMSOLL_CORPUS/k8s) to one stream of MEGABYTES (100) in FILE.

    benches/stream.py FILE [MEGABYTES]; time plimsoll list FILE --format json -o /dev/null
"""

import os
import sys
from pathlib import Path


def main():
    target, megabytes = Path(sys.argv[1]), int((sys.argv[2:] or ["100"])[0])
    texts = []
    for path in sorted(Path(os.environ["PLIMSOLL_CORPUS"], "k8s").rglob("*.y*ml")):
        data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        try:
            data.decode()
        except UnicodeDecodeError:
            continue
        texts.append(data.rstrip(b"\n") + b"\n---\n")
    written = 0
    with target.open("wb") as stream:
        while written < megabytes * 1_000_000:
            for text in texts:
                written += stream.write(text)


if __name__ == "__main__":
    main()
