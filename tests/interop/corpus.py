#!/usr/bin/env python3
"""Pins whole folders of real manifests and proves byte by byte that nothing but digests came in.

    corpus.py [FOLDER]...     without any: the project's own manifests, and the areas of $PLIMSOLL_CORPUS when it is set

Each folder is copied first. The registry is a fake that has every image. An image that stands at one place must change
at exactly that place and in exactly one way; of one that is composed of several fields, the edits that are reported
must each stand in one of its fields and add its digest, and the composed text must read as pinned afterwards.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import documents
import readers
from checks import FIXTURES, Checks, Plimsoll, contents, end_on_signals, identities
from every_image import EveryImage, digest

AREAS = ("k8s", "compose", "devcontainers", "gitlab-ci", "helm", "kustomize", "workflows")


def split(text):
    """A reference as the distribution grammar has it: (repository without host, name as written, tag, digest)."""
    name, _, pinned = text.partition("@")
    first, slash, rest = name.partition("/")
    host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    path = rest if host else name
    tag = None
    if ":" in path.rsplit("/", 1)[-1]:
        path, tag = path.rsplit(":", 1)
        name = name[:-len(tag) - 1]
    hub = not host or first.lower() in ("docker.io", "index.docker.io", "registry-1.docker.io")
    if hub and "/" not in path:
        path = "library/" + path
    return path, name, tag, pinned


def pinned_text(text):
    """What `pin` makes of a reference."""
    repository, name, tag, pinned = split(text)
    if pinned:
        return text
    tag = tag or "latest"
    return f"{name}:{tag}@{digest(repository, tag)}"


def unpinned_text(text):
    """What `unpin` makes of what `pin` made of it."""
    _, name, tag, _ = split(pinned_text(text))
    return f"{name}:{tag}" if tag else text


def replaced(data, edits):
    """A file's bytes with every edit made: (span, old text, new text)."""
    for (start, end), old, new in sorted(edits, reverse=True):
        if data[start:end] != old.encode():
            raise ValueError(f"{old!r} does not stand at {start}..{end}")
        data = data[:start] + new.encode() + data[end:]
    return data


def placed(path):
    """Where a file of the corpus has to lie to be what it is: workflows lie in a folder of their own."""
    if path.suffix in (".yml", ".yaml") and path.stem not in ("action", "compose") and ".github" not in path.parts:
        return path.parent / ".github" / "workflows" / path.name
    return path


def copy(source, target):
    """Copy files and folders, without their modes: a read-only file would not be edited."""
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.is_symlink():
            place = path.relative_to(source)
            place = target / (placed(place) if source.name == "workflows" else place)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())


def outline(files, limit=20):
    """Names of files for a message."""
    return "\n".join([*files[:limit], f"… {len(files)} in all"])


class Folder:
    """One copied folder and what is known of it."""

    def __init__(self, checks, plimsoll, registry, source, work):
        self.checks, self.plimsoll, self.registry = checks, plimsoll, registry
        self.name = "/".join(source.parts[-2:])
        self.tree, self.work = work / "tree", work
        copy(source, self.tree)
        self.config = work / "gate.yaml"
        self.config.write_text(registry.settings())
        self.original = contents(self.tree)
        # References at one place that may be edited, those composed of several, and all of them.
        self.rows, self.composed, self.listed = defaultdict(list), defaultdict(list), []

    def run(self, *arguments):
        """Run plimsoll in the folder; the run and its time in seconds."""
        start = time.monotonic()
        ran = self.plimsoll.run(*arguments, "--config", self.config, cwd=self.tree)
        return ran, time.monotonic() - start

    def equal(self, found, wanted, what, also=""):
        """As Checks.equal, for whole folders: only the files that differ are named."""
        differing = [path for path in sorted({*found, *wanted}) if found.get(path) != wanted.get(path)]
        return self.checks.that(not differing, f"{self.name}: {what}", f"{outline(differing)}\n{also}")

    def that(self, holds, what, detail=""):
        """As Checks.that."""
        return self.checks.that(holds, f"{self.name}: {what}", detail)

    def prove(self):
        """All checks, in order."""
        if not self.list():
            return
        diff = self.diff()
        edits = self.pin()
        self.apply(diff)
        files = identities(self.tree)
        before = len(self.registry.requests)
        ran, seconds = self.run("pin", "--no-policy", "--format", "json", ".")
        again = json.loads(ran.out)["edits"] if ran.code == 0 else ran.code
        self.that(again == [] and identities(self.tree) == files, "a second pin touches no file", ran)
        asked = len(self.registry.requests) - before
        self.list_again(edits)
        self.read_again(edits)
        self.unpin(edits)
        print(f"{self.name}: the second pin took {seconds:.1f} s and {asked} requests", flush=True)

    def list(self):
        """What `list` reports; its spans hold the texts that it reports."""
        before = len(self.registry.requests)
        ran, seconds = self.run("list", "--format", "json", ".")
        if not self.that(ran.code == 0, "list", ran):
            return False
        report = json.loads(ran.out)
        self.listed = report["references"]
        self.that(self.listed, "list finds references", ran)
        self.that(len(self.registry.requests) == before, "list asks no registry")
        wrong = []
        for row in self.listed:
            row["file"] = os.path.normpath(row["file"])
            if row["span"]:
                start, end = row["span"]
                if row["editable"] and self.original[row["file"]][start:end] != row["text"].encode():
                    wrong.append(f"{row['file']}:{row['line']}: {row['text']}")
            if row["editable"] and row["span"]:
                # An alias is a reference of its own that stands where its anchor does.
                if row["span"] not in [other["span"] for other in self.rows[row["file"]]]:
                    self.rows[row["file"]].append(row)
            elif row["parts"]:
                self.composed[row["file"]].append(row)
            if row["image"]:
                image = row["image"].split("@")[0]
                repository, _, tag, pinned = split(row["text"])
                if image.partition("/")[2] != repository + (f":{tag or 'latest'}" if tag or not pinned else ""):
                    wrong.append(f"{row['file']}:{row['line']}: {row['text']} is not {row['image']}")
        self.that(not wrong, "each span holds its text, and each image is what the text means", outline(wrong))
        order = [(row["file"], (row["line"], row["column"])) for row in self.listed]
        files = [row["file"] for row in self.listed]
        self.that(len(set(files)) == len([f for f, g in zip(files, [None, *files]) if f != g]) and
                  all(a[1] <= b[1] for a, b in zip(order, order[1:]) if a[0] == b[0]),
                  "references stand in the order of files and offsets")
        states = Counter(row.get("verdict", "image" if row["editable"] else "image, not editable") for row in self.listed)
        unread = Counter(entry["reason"] for entry in report["unread"])
        print(f"{self.name}: {len(self.original)} files listed in {seconds:.1f} s: {len(self.listed)} references in "
              f"{len(set(files))} files ({', '.join(f'{n} {s}' for s, n in sorted(states.items()))}); "
              f"{sum(unread.values())} unread places", flush=True)
        return True

    def diff(self):
        """`pin --diff` writes nothing; what it prints."""
        ran, _ = self.run("pin", "--no-policy", "--diff", ".")
        self.equal(contents(self.tree), self.original, "pin --diff writes nothing", ran)
        return ran.out

    def apply(self, diff):
        """git applies the diff to the same bytes that `pin` wrote."""
        folder = self.work / "diff"
        for path, data in self.original.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.work), "GIT_CONFIG_NOSYSTEM": "1",
                       "GIT_CEILING_DIRECTORIES": str(self.work)}
        applied = subprocess.run(["git", "apply", "-"], cwd=folder, input=diff.encode(), env=environment,
                                 capture_output=True)
        self.equal(contents(folder), contents(self.tree), "git applies the diff to the same bytes",
                   applied.stderr.decode()[-500:])

    def row_of(self, path, edit):
        """The composed image that an edit belongs to: it stands in one of its fields, or in an empty one beside them,
        and adds the digest of that image and nothing else."""
        (start, end), old, new = edit
        for row in self.composed[path]:
            inside = any(first <= start and end <= last for first, last in (part["span"] for part in row["parts"]))
            repository, _, tag, pinned = split(row["text"])
            wanted = digest(repository, tag or "latest")
            ends = (f"{old}@{wanted}", f"{old}:latest@{wanted}", wanted, wanted.removeprefix("sha256:"))
            if (inside or old in ("", "null", "~")) and not pinned and new in ends[0 if inside else 2:]:
                return row
        return None

    def pin(self):
        """`pin` writes exactly what the spans of `list` say; the edits that it reports, by file."""
        before = len(self.registry.requests)
        ran, seconds = self.run("pin", "--no-policy", "--format", "json", ".")
        asked = self.registry.requests[before:]
        self.that(ran.code == 0, "pin --no-policy", f"exit code {ran.code}\n{ran.err[-2000:]}")
        try:
            report = json.loads(ran.out)
        except ValueError:
            self.that(False, "pin reports JSON", ran)
            return {}
        edits = defaultdict(list)
        for edit in report["edits"]:
            edits[os.path.normpath(edit["file"])].append((tuple(edit["span"]), edit["old"], edit["new"]))
        whole = {path: sorted((tuple(row["span"]), row["text"], pinned_text(row["text"])) for row in rows
                              if pinned_text(row["text"]) != row["text"]) for path, rows in self.rows.items()}
        wrong = []
        for path in sorted({*edits, *whole}):
            of_parts = [edit for edit in edits.get(path, []) if edit not in whole.get(path, [])]
            wrong.extend(f"{path}: {edit} was not expected" for edit in of_parts if not self.row_of(path, edit))
            wrong.extend(f"{path}: {edit} is missing" for edit in whole.get(path, []) if edit not in edits[path])
        self.that(not wrong, "the edits that it reports are those of the listed images", outline(wrong))
        wanted = {path: replaced(data, edits.get(path, [])) for path, data in self.original.items()}
        self.equal(contents(self.tree), wanted, "pin makes the reported edits and changes no other byte",
                   ran.err[-2000:])
        summary = report["summary"]
        self.that(summary["references"] == len(self.listed) == sum(
            summary[verdict] for verdict in ("allow", "deny", "undecided", "skipped")), "the counts add up", summary)
        tags = {(repository, tag or "latest") for rows in [*self.rows.values(), *self.composed.values()]
                for repository, _, tag, pinned in (split(row["text"]) for row in rows) if not pinned}
        requested = Counter(path for _, path in asked if "/manifests/" in path)
        twice = [f"{count} × {path}" for path, count in requested.items() if count > 1]
        # One name of two registries is two images here, and both are asked for at this one server.
        hosts = Counter(image.partition("/")[2] for image in
                        {row["image"].split("@")[0] for row in self.listed if row["image"]})
        twice = [line for line in twice if hosts[line.split("/v2/")[1].replace("/manifests/", ":")] < 2]
        self.that(not twice, "no tag is asked for twice", outline(twice))
        print(f"{self.name}: pinned in {seconds:.1f} s: {sum(map(len, edits.values()))} edits in {len(edits)} files, "
              f"{len(tags)} images, {len(asked)} requests", flush=True)
        return {path: sorted(found) for path, found in edits.items()}

    def list_again(self, edits):
        """Every image that was edited reads as pinned, every other as before."""
        ran, _ = self.run("list", "--format", "json", ".")
        rows = json.loads(ran.out)["references"] if ran.code == 0 else []
        if not self.equal_counts(len(rows), len(self.listed), ran):
            return
        wrong, pinned = [], Counter()
        for old, new in zip(self.listed, rows):
            same = old["text"] == new["text"]
            if not same and (new["text"] != pinned_text(old["text"]) and
                             new["text"] != f"{old['text']}@{digest(split(old['text'])[0], 'latest')}"):
                wrong.append(f"{old['file']}:{old['line']}: {old['text']} reads {new['text']}")
            if old["editable"] and same and "@" not in old["text"]:
                wrong.append(f"{old['file']}:{old['line']}: {old['text']} may be edited and was not")
            pinned[old["file"]] += not same
        silent = [path for path in edits if not pinned[path]]
        self.that(not wrong, "each image that is edited reads as pinned", outline(wrong))
        self.that(not silent, "no file is edited without an image that changes", outline(silent))

    def equal_counts(self, found, wanted, ran):
        """As Checks.equal, for the number of references."""
        return self.that(found == wanted, f"{wanted} references before, {found} after", ran)

    def unpin(self, edits):
        """`unpin` gives back every tagged reference."""
        ran, _ = self.run("unpin", ".")
        self.that(ran.code == 0, "unpin", ran)
        back = {}
        for path, data in self.original.items():
            gone = []
            for row in self.rows[path]:
                gone.append((tuple(row["span"]), row["text"], unpinned_text(row["text"])))
            for row in self.composed[path]:
                gone.extend(self.was_pinned(data, row))
            spans = [span for span, _, _ in gone]
            for edit in (edit for edit in edits.get(path, []) if edit[0] not in spans):
                span, old, new = edit
                row = self.row_of(path, edit)
                if new.startswith(f"{old}:latest@"):
                    gone.append((span, old, f"{old}:latest"))
                elif row and split(row["text"])[2] is None:
                    gone.append(edit)  # no tag says what to go back to
            back[path] = replaced(data, gone)
        self.equal(contents(self.tree), back, "unpin gives back every tagged reference", ran)

    @staticmethod
    def was_pinned(data, row):
        """What `unpin` takes off a composed image that had a tag and a digest before: the field that ends in it."""
        _, _, tag, pinned = split(row["text"])
        for start, end in (part["span"] for part in row["parts"] if row["editable"] and tag and pinned):
            text = data[start:end].decode()
            if text in (pinned, pinned.removeprefix("sha256:")):
                yield (start, end), text, "" if data[start - 1:start] in (b"'", b'"') else '""'
            elif text.endswith("@" + pinned):
                yield (start, end), text, text.removesuffix("@" + pinned)

    def read_again(self, edits):
        """A second reader sees the old and the new file as the same document but for these images."""
        counts, wrong = Counter(), []
        for path, old in self.original.items():
            expected = edits.get(path, [])
            if not expected:
                continue
            new = (self.tree / path).read_bytes()
            reader = readers.of(path, {row["format"] for row in self.listed if row["file"] == path})
            if reader is None:
                counts["for which there is none"] += 1
                continue
            try:
                found = reader.differences(path, old, new)
            except documents.Unreadable:
                counts["that it can't read"] += 1
                continue
            except ValueError as error:
                wrong.append(f"{path}: {error}")
                continue
            counts[f"read by {reader.NAME}"] += 1
            left = readers.unexplained(found.values(), [(before, after) for _, before, after in expected])
            if left:
                wrong.append(f"{path}: {left}"[:300])
            elif reader is documents and not path.endswith(".json"):
                ends = {(row["line"], row["column"] + len(row["text"])) for row in self.rows[path]
                        if pinned_text(row["text"]) != row["text"]}
                if not self.composed[path] and not {(line, column) for line, column in found if column} <= ends:
                    wrong.append(f"{path}: at {sorted(found)} and not {sorted(ends)}"[:300])
        self.that(not wrong, "a second reader sees the same documents but for these images", outline(wrong))
        print(f"{self.name}: of {sum(1 for e in edits.values() if e)} changed files, "
              f"{', '.join(f'{count} {what}' for what, count in sorted(counts.items()))}", flush=True)


def main(arguments):
    """Prove each folder."""
    end_on_signals()
    folders = [Path(argument).resolve() for argument in arguments]
    if not folders:
        folders = [FIXTURES / "kubernetes" / "labelled", FIXTURES / "quickstart" / "k8s"]
        corpus = os.environ.get("PLIMSOLL_CORPUS")
        if corpus:
            folders.extend(Path(corpus).resolve() / area for area in AREAS)
        else:
            print("corpus: PLIMSOLL_CORPUS is not set, so the real-world files are skipped", flush=True)
    checks = Checks("corpus")
    registry = EveryImage()
    try:
        with tempfile.TemporaryDirectory(prefix="plimsoll-corpus-") as work:
            plimsoll = Plimsoll(Path(work) / "home")
            for number, folder in enumerate(folders):
                if checks.that(folder.is_dir(), f"{folder} is there"):
                    place = Path(work) / str(number)
                    place.mkdir()
                    Folder(checks, plimsoll, registry, folder, place).prove()
    finally:
        registry.stop()
    return checks.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
