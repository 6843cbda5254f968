"""A second, independent reader: PyYAML (and Python's JSON) say whether two files differ in their images alone."""

import json
import re

import yaml

NAME = "PyYAML"
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What PyYAML takes a plain scalar for by its looks (`yes`, `2024-01-01`, nothing): with a digest in it, it is text.
RESOLVED = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "float", "int", "null", "timestamp")}
TEXT = "tag:yaml.org,2002:str"
START = re.compile(r"^---(?=\s|$)", re.MULTILINE)


class Unreadable(Exception):
    """The second reader refuses the text."""


def images(data):
    """Every value of a key `image` or `reference`, in the order of the text."""
    found = []

    def walk(node):
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value in ("image", "reference") and isinstance(value, yaml.ScalarNode):
                    found.append(value.value)
                walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for value in node.value:
                walk(value)

    for node in nodes(decode(data)):
        walk(node)
    return found


def differences(path, old, new):
    """The scalars in which two versions of a file differ, as {(line, column) of the end: (old text, new text)}.

    Lines and columns count from 1 and belong to the old version; a block scalar, whose end lies below it, has
    column 0, and in JSON the key is a path instead.
    Raises Unreadable where the old version can't be read, ValueError where anything but a scalar's text differs.
    """
    if path.endswith(".json"):
        return json_differences(old, new)
    old, new = decode(old), decode(new)
    try:
        return compare(nodes(old), nodes(new), 0)
    except Unreadable:
        found = {}
        # One broken document hides the others of its stream, so each is read for itself.
        pieces, others = split(old), split(new)
        if len(pieces) != len(others):
            raise ValueError(f"{len(pieces)} documents became {len(others)}") from None
        readable = 0
        for (line, piece), (_, other) in zip(pieces, others):
            try:
                found.update(compare(nodes(piece), nodes(other), line))
                readable += 1
            except Unreadable:
                if is_readable(other):
                    raise ValueError(f"the document at line {line + 1} could not be read before and can now") from None
        if not readable:
            raise
        return found


def decode(data):
    """The text of a file, without a byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(str(error)) from None


def nodes(text):
    """The documents of a stream as trees of nodes, aliases shared."""
    try:
        return list(yaml.compose_all(text, Loader=Loader))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from None


def is_readable(text):
    """Whether the reader takes it."""
    try:
        nodes(text)
        return True
    except Unreadable:
        return False


def split(text):
    """The documents as texts, each with the number of lines before it."""
    starts = [match.start() for match in START.finditer(text)]
    edges = sorted({0, len(text), *starts})
    return [(text.count("\n", 0, a), text[a:b]) for a, b in zip(edges, edges[1:])]


def compare(old, new, lines_before):
    """Where two lists of trees differ; the trees themselves must have the same shape."""
    if len(old) != len(new):
        raise ValueError(f"{len(old)} documents became {len(new)}")
    found, seen, pending = {}, {}, list(zip(old, new))
    while pending:
        a, b = pending.pop()
        if a is None or b is None:
            if a is not b:
                raise ValueError("an empty document became something, or the reverse")
            continue
        if id(a) in seen:  # an alias, or a document that contains itself
            if seen[id(a)] is not b:
                raise ValueError(f"{place(a)}: an alias names another node now")
            continue
        seen[id(a)] = b
        became_text = a.id == b.id == "scalar" and a.value != b.value and a.tag in RESOLVED and b.tag == TEXT
        if (a.id, a.tag) != (b.id, b.tag) and not became_text:
            raise ValueError(f"{place(a)}: {a.id} {a.tag} became {b.id} {b.tag}")
        if isinstance(a, yaml.ScalarNode):
            if a.style != b.style:
                raise ValueError(f"{place(a)}: style {a.style} became {b.style}")
            if a.value != b.value:
                end = a.end_mark
                quote = 1 if a.style in ("'", '"') else 0
                column = 0 if a.style in ("|", ">") else end.column + 1 - quote
                found[end.line + 1 + lines_before, column] = (a.value, b.value)
            continue
        if len(a.value) != len(b.value):
            raise ValueError(f"{place(a)}: {len(a.value)} entries became {len(b.value)}")
        for one, other in zip(a.value, b.value):
            pending.extend(zip(one, other) if isinstance(a, yaml.MappingNode) else [(one, other)])
    return found


def place(node):
    """Where a node starts, for a message."""
    return f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"


def json_differences(old, new):
    """As `differences`, for JSON: keys are paths, and keys that stand twice are kept."""
    def read(data):
        decoder = json.JSONDecoder(object_pairs_hook=lambda pairs: ("object", pairs))
        text = decode(data).lstrip()
        while text:  # a stream of documents
            document, end = decoder.raw_decode(text)
            yield document
            text = text[end:].lstrip()

    try:
        before = list(read(old))
    except ValueError as error:
        raise Unreadable(str(error)) from None
    found = {}

    def walk(path, a, b):
        if isinstance(a, str) and isinstance(b, str):
            if a != b:
                found[path] = (a, b)
        elif type(a) is not type(b) or not isinstance(a, (list, tuple)):
            if a != b:
                raise ValueError(f"{path}: {a!r} became {b!r}")
        elif len(a) != len(b):
            raise ValueError(f"{path}: {len(a)} entries became {len(b)}")
        else:
            for number, (one, other) in enumerate(zip(a, b)):
                walk(f"{path}/{number}", one, other)

    walk("", before, list(read(new)))
    return found
