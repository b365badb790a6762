"""The mechanical part of "How we write" in CONTRIBUTING.md: words that comments and strings avoid."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

PROXY = Path(__file__).parents[1] / "proxy"
AVOIDED = re.compile(r"\b(octets?|somebody|nobody|whoever|everybody|anybody)\b", re.IGNORECASE)
ALLOWED = re.compile(r"application/octet-stream|`[^`]*\boctet\b[^`]*`", re.IGNORECASE)
"""A media type, and a quotation of an RFC in backticks: `1*OCTET`."""

FILES = [path.relative_to(PROXY).as_posix() for path in sorted(PROXY.rglob("*.py"))]

EXAMPLE = '''"""Nobody."""
nobody = 1  # whoever
raise ValueError(f"{nobody} somebody")
KIND = "application/octet-stream"  # `1*OCTET`
"""
Octets."""
'''


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield comments and strings (f-strings without the names in them), each with its first line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def avoided(file: str) -> list[str]:
    return found((PROXY / file).read_text(encoding="utf-8"))


def found(source: str) -> list[str]:
    """Return each avoided word with the first line of its comment or string."""
    words = [(line, match[0]) for line, text in texts(source) for match in AVOIDED.finditer(plain(text))]
    return [f"line {line}: {word}" for line, word in sorted(words)]


def plain(text: str) -> str:
    return ALLOWED.sub("", text)


@pytest.mark.parametrize("file", FILES)
def test_texts_name_the_actor_and_use_the_words_of_the_field(file: str) -> None:
    words = avoided(file)
    assert not words, (
        f"proxy/{file}: {'; '.join(words)}. Name the actor (the client, the request, the operator) instead, "
        'and say byte; see "How we write" in CONTRIBUTING.md'
    )


def test_comments_docstrings_and_messages_count_and_names_do_not() -> None:
    assert found(EXAMPLE) == ["line 1: Nobody", "line 2: whoever", "line 3: somebody", "line 5: Octets"]
