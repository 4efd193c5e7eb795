"""Texts of books: names and tags are visible lines, notes may have several lines; none has control characters."""

import pytest

from moneyflow.money.days import read_day
from moneyflow.money.texts import LONGEST_NAME, LONGEST_NOTE, note_text, one_line, unique_tags

_LINES = ["Groceries", "Zoë's", "食料品", "👨‍👩‍👧", "a" * LONGEST_NAME, "مصروف", "50 % off: 1 < 2 & 3"]
_CONTROLS = ["\t", "\r", "\x00", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u2029"]


@pytest.mark.parametrize("line", _LINES)
def test_a_line_is_taken_without_the_spaces_around_it(line: str) -> None:
    assert one_line(f" {line}\u00a0\n") == line
    assert note_text(line) == line


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "two\nlines", "a" * (LONGEST_NAME + 1), *(f"a{one}b" for one in _CONTROLS)]
)
def test_what_is_no_visible_line_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match="must be one line"):
        one_line(text)


def test_a_note_may_be_empty_and_have_several_lines() -> None:
    for note in ("", "two\n\nlines\n", "a" * LONGEST_NOTE):
        assert note_text(note) == note


@pytest.mark.parametrize("text", ["a" * (LONGEST_NOTE + 1), *(f"a{one}b" for one in _CONTROLS)])
def test_what_is_too_long_or_has_control_characters_is_no_note(text: str) -> None:
    with pytest.raises(ValueError, match="must have at most"):
        note_text(text)


def test_each_tag_is_there_once() -> None:
    assert unique_tags(("a", "A", "b")) == ("a", "A", "b")
    with pytest.raises(ValueError, match="must hold each tag once"):
        unique_tags(("a", "b", "a"))


@pytest.mark.parametrize("text", ["1900-01-01", "2024-02-29", "2199-12-31"])
def test_a_day_is_read_as_it_is_written(text: str) -> None:
    assert str(read_day(text)) == text


@pytest.mark.parametrize(
    "text",
    ["1899-12-31", "2200-01-01", "2026-02-29", "2026-13-01", "20260301", "2026-W09-7", "2026-3-1", "2026-03-01T00:00",
     " 2026-03-01", "", "today", None, 20260301, "\uff12\uff10\uff12\uff16-03-01"],
)  # fmt: skip
def test_what_is_no_day_of_the_calendar_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="must be a day as YYYY-MM-DD, from 1900-01-01 to 2199-12-31"):
        read_day(text)
