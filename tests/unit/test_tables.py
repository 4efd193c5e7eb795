"""Tables of commands: a grid where it fits, else rows whose other cells are below; no word is cut."""

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from ops.cli.output import prose, table
from ops.cli.tables import Column, Listing

_ID = "0198f0a2-7c1e-7d3a-9b55-0c6a1f0e7d11"


def _lines(listing: Listing, width: int) -> list[str]:
    output = io.StringIO()
    Console(file=output, width=width).print(listing)
    return output.getvalue().splitlines()


def test_what_fits_is_a_grid_with_a_line_for_each_row() -> None:
    listing = table("id", "state", prose("why"), rows=[(_ID, "failed", "no box"), (_ID, "queued", None)])

    assert _lines(listing, 80) == [
        "id                                    state   why",
        f"{_ID}  failed  no box",
        f"{_ID}  queued  -",
    ]


def test_prose_wraps_in_its_column_while_the_other_cells_stay_whole() -> None:
    listing = table("id", prose("why"), rows=[(_ID, "the server of the vendor refuses every recipient")])

    assert _lines(listing, 64) == [
        "id                                    why",
        f"{_ID}  the server of the vendor",
        f"{' ' * 38}refuses every recipient",
    ]


def test_what_does_not_fit_is_below_its_row_and_empty_cells_are_left_out() -> None:
    rows = [(_ID, "k" * 40, "ValueError", "a " * 40, _ID), (_ID, "short", None, None, None)]
    listing = table("id", "kind", "error", prose("message"), "sample", rows=rows, title="2 failed")

    assert _lines(listing, 80) == [
        "2 failed",
        f"id{' ' * 36}kind",
        f"{_ID}  {'k' * 40}",
        "  error: ValueError",
        f"  message: {'a ' * 34}a",
        "  a a a a a",
        f"  sample: {_ID}",
        f"{_ID}  short",
    ]


@pytest.mark.parametrize("width", [20, 36, 80, 160, 240])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    wide = "東京" * 60
    rows = [(_ID, wide, "two\nlines", 5, "x" * 300), (_ID, "", None, 123_456, "short")]
    listing = table("id", prose("name"), prose("text"), "jobs", prose("value"), rows=rows, title="t" * 300)

    lines = _lines(listing, width)

    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()).count("東京") == 60


def test_no_row_is_one_word_and_not_the_header_of_an_empty_table() -> None:
    assert _lines(table("id", "state", rows=[]), 80) == ["none"]
    assert _lines(table("id", "state", rows=[], title="0 failed"), 80) == ["0 failed"]


def test_what_a_terminal_would_obey_is_escaped_in_every_cell() -> None:
    (_, row) = _lines(table("id", Column(name="error"), rows=[("1", "a\x1b[2J[red]b")]), 80)

    assert row == "1   a\\x1b[2J[red]b"
