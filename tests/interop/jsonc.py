"""A second reader of JSON with comments and commas before a closing bracket, as devcontainer.json has them."""

import re

import documents

NAME = "a reader of JSON with comments"
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n\r]*|/\*.*?\*/|[^"/]+|.', re.DOTALL)
COMMA = re.compile(r",(\s*[\]}])")


def plain(data):
    """The same document as JSON: comments become a blank, and last commas go."""
    pieces, text = [], ""
    for token in TOKEN.findall(documents.decode(data)):
        if token.startswith('"'):
            pieces.append((text, token))
            text = ""
        else:
            text += " " if token.startswith(("//", "/*")) else token
    pieces.append((text, ""))
    return "".join(COMMA.sub(r"\1", text) + string for text, string in pieces).encode()


def differences(_path, old, new):
    """As documents.differences, for JSON: keys are paths."""
    return documents.json_differences(plain(old), plain(new))
