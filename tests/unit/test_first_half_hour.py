"""A newcomer's first half hour, README's drawing and one job from its contract to its SQL, is short enough to read."""

from pathlib import Path

_ROOT = Path(__file__).parents[2]
#: In the order in which README names them.
_FILES = (
    "moneyflow/jobs/send_welcome.py",
    "workers/jobs/send_welcome.py",
    "tests/integration/test_send_welcome.py",
    "workers/runtime.py",
    "moneyflow/platform/jobs/store/claims.sql",
    "moneyflow/platform/jobs/store/completion.sql",
)
#: Lines that a newcomer reads in half an hour.
_LINES = 700


def _until_after_the_drawing() -> list[str]:
    readme = (_ROOT / "README.md").read_text(encoding="utf-8")
    before, heading, rest = readme.partition("\n## How it works\n")
    assert heading, "README has no section `How it works` with the drawing"
    section, _, _ = rest.partition("\n## ")
    return f"{before}{heading}{section}".splitlines()


def test_the_first_half_hour_is_under_seven_hundred_lines() -> None:
    lines = {name: len((_ROOT / name).read_text(encoding="utf-8").splitlines()) for name in _FILES}
    lines["README.md, to the end of the drawing's section"] = len(_until_after_the_drawing())

    assert sum(lines.values()) < _LINES, lines


def test_readme_shows_the_drawing_and_then_names_the_files_to_read() -> None:
    text = "\n".join(_until_after_the_drawing())

    assert "relay (one leader) publishes" in text
    assert [name for name in _FILES if name.rpartition("/")[2] not in text] == []
