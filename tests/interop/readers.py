"""Second, independent readers: which of them reads a file, and whether edits explain what it sees."""

import documents
import dockerfiles
import jsonc


def of(path, formats):
    """The reader of a file, a module with NAME and `differences`; None where it is not there."""
    if "dockerfile" in formats:
        return dockerfiles if dockerfiles.is_there() else None
    if "devcontainer" in formats or path.endswith(".jsonc"):
        return jsonc
    return documents


def unexplained(differences, edits):
    """What is left of differences, (text before, text after), and edits, (old, new), that belong together."""
    odd, edits = [], list(edits)
    for before, after in differences:
        used = explanation(before, after, edits)
        if used is None:
            odd.append((before, after))
        for edit in used or []:
            edits.remove(edit)
    return odd + edits


def explanation(before, after, edits):
    """The edits, each used once, that make `after` of `before`; None where no choice of them does."""
    if before == after:
        return []
    alike = next((at for at, (a, b) in enumerate(zip(before, after)) if a != b), min(len(before), len(after)))
    for number, (old, new) in enumerate(edits):
        others = edits[:number] + edits[number + 1:]
        for at in range(alike, -1, -1):
            if before.startswith(old, at) and after.startswith(new, at):
                rest = explanation(before[at + len(old):], after[at + len(new):], others)
                if rest is not None:
                    return [(old, new), *rest]
    return None
