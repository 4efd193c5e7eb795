"""The lists that a new sink is added to: `SINKS`, from which all of Python follows, and files that are no Python.

Those name each sink, and the new one gets lines next to those of the last one.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from ops.dev.scaffold.sink_templates import SERVICE

SETTINGS, ROLES, ENV, COMPOSE = (
    "moneyflow/settings.py",
    "ops/docker/postgres/roles",
    ".env.example",
    "docker-compose.yml",
)
_LIST = "SINKS = (\n"


def lists_with(root: Path, name: str) -> Mapping[str, str]:
    """Return the texts of the files that list all sinks, with this one, by their paths in the checkout."""
    texts = {path: (root / path).read_text(encoding="utf-8") for path in (SETTINGS, ROLES, ENV, COMPOSE)}
    before, begin, rest = texts[SETTINGS].partition(_LIST)
    listed, end, after = rest.partition(")\n")
    last = listed.split('"')[-2]
    compose = _copied(texts[COMPOSE], lambda line, own: _is_setting(line, last) and not own, last=last, name=name)
    return {
        SETTINGS: f'{before}{begin}{listed}    "{name}",\n{end}{after}',
        ROLES: f"{texts[ROLES]}{name}\n",
        ENV: _copied(texts[ENV], lambda line, _: _is_setting(line, last), last=last, name=name),
        COMPOSE: _with_service(compose, SERVICE.substitute(name=name, upper=name.upper())),
    }


def _is_setting(line: str, sink: str) -> bool:
    """Return whether a line sets a user or a password of a sink, in YAML or in `.env`."""
    setting = line.strip().replace("=", ":").partition(":")[0]
    names = {f"{server}_{sink.upper()}_{part}" for server in ("POSTGRES", "KAFKA") for part in ("USER", "PASSWORD")}
    return setting in names


def _copied(text: str, is_copied: Callable[[str, bool], bool], *, last: str, name: str) -> str:
    """Copy each run of such lines for the new sink; the function gets whether a line is of the last sink's service."""
    lines: list[str] = []
    copies: list[str] = []
    own = False
    for line in [*text.splitlines(keepends=True), ""]:
        if line.startswith("  ") and not line.startswith("   "):
            own = line.startswith(f"  consumer-{last}:")
        if is_copied(line, own):
            copies.append(line.replace(last.upper(), name.upper()).replace(last, name))
        else:
            lines += copies
            copies = []
        lines.append(line)
    return "".join(lines)


def _with_service(compose: str, service: str) -> str:
    """Insert a service after those of the other consumers, before the next empty line."""
    start = compose.rindex("\n  consumer-") + 1
    end = compose.index("\n\n", start) + 2
    return f"{compose[:end]}{service}\n{compose[end:]}"
