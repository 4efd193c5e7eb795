"""Words that a field engineer does not recognise stay out of identifiers, messages, docstrings, comments and SQL."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent.parent
_FOLDERS = ("moneyflow", "api", "workers", "consumers", "ops", "tests")
#: This file has the words as data.
_SELF = Path(__file__)
_HOLD = "hold for too long, or the seconds and the limit"
#: The words, each with what to write instead.
_INSTEAD = {
    "told": "logged, reported, notified or returned, whichever it is",
    "anew": "again",
    "whoever": "the actor, such as the worker, the relay, the operator, the caller",
    "nobody": "the actor, such as no worker, no process, no operator",
    "hoard": _HOLD,
    "hoards": _HOLD,
    "hoarded": _HOLD,
    "hoarding": _HOLD,
    "patience": "timeout or retry",
}
#: `job_told`, `ToldError` and `JOB_TOLD` all have the word `told`; `untold` has not.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def _texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the identifiers, comments and strings of Python source, each with its line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in {tokenize.NAME, tokenize.COMMENT}:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from enumerate(node.value.split("\n"), node.lineno)


def _findings(path: Path, source: str) -> list[str]:
    texts = _texts(source) if path.suffix == ".py" else enumerate(source.split("\n"), 1)
    found = sorted({(line, word) for line, text in texts for word in map(str.lower, _WORD.findall(text))})
    return [f"{path}:{line}: {word!r}: write {_INSTEAD[word]}" for line, word in found if word in _INSTEAD]


def test_every_word_is_one_of_the_field() -> None:
    files = [path for folder in _FOLDERS for path in (_ROOT / folder).rglob("*") if path != _SELF]
    paths = [path for path in files if path.suffix in {".py", ".sql"}]
    findings = [
        finding for path in sorted(paths) for finding in _findings(path.relative_to(_ROOT), path.read_text("utf-8"))
    ]

    assert len(paths) > 100
    assert not findings, "\n" + "\n".join(findings)


@pytest.mark.parametrize("word", _INSTEAD)
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("a.py", "\ndef job_{word}() -> None: ..."),
        ("a.py", "\njob.{word} = 1"),
        ("a.py", "\nclass {title}Error(Exception): ..."),
        ("a.py", "\n_JOB_{upper} = 1"),
        ("a.py", "\nlog.info('job_{word}')"),
        ("a.py", "\nraise ValueError(f'{{job}} was {word}: {{error}}')"),
        ("a.py", "\nx = 'The job.\\n{title} so.'"),
        ("a.py", '"""Module.\n\nIt is {word} here.\n"""'),
        ("a.py", "\nx = 1  # {title}."),
        ("a.sql", "\n-- A job, {word}.\nselect 1;"),
        ("a.sql", "\nselect 1 as job_{word};"),
    ],
    ids=[
        "function", "attribute", "class", "constant", "log event", "f-string", "second line of a string", "docstring",
        "comment", "SQL comment", "SQL identifier",
    ],
)  # fmt: skip
def test_each_word_is_found_wherever_it_is_written(word: str, name: str, source: str) -> None:
    text = source.format(word=word, title=word.title(), upper=word.upper())

    (finding,) = _findings(Path(name), text)

    assert re.fullmatch(rf"{name}:[23]: '{word}': write .+", finding)


def test_a_word_inside_another_is_not_found() -> None:
    assert _findings(Path("a.py"), "untold = 'anewer'  # Nobodys, impatience.") == []
