"""The failpoints of every process of the product: as they are declared, and as the source names them."""

import importlib
import re
from pathlib import Path

from moneyflow.platform import failpoints

_ROOT = Path(__file__).parents[2]
_PROCESSES = ("api.app", "workers.__main__", "workers.relay.__main__", "consumers.__main__")
#: `_FINISHED = declare("worker.finished")`, and a name that is reached without a declaration next to it.
DECLARED = re.compile(r"""^(\w+) = (?:failpoints\.)?declare\(\s*"([a-z._]+)"\s*\)$""", re.MULTILINE)
_REACHED = re.compile(r"""\breach\(\s*"([a-z._]+)"\s*\)""")


def of_every_process() -> tuple[str, ...]:
    """Import the modules of every process and return the points that they declared."""
    for module in _PROCESSES:
        importlib.import_module(module)
    return failpoints.declared()


def sources() -> dict[Path, str]:
    """Return the product's modules with their text."""
    parts = ("moneyflow", "workers", "consumers", "api")
    return {path: path.read_text(encoding="utf-8") for part in parts for path in (_ROOT / part).rglob("*.py")}


def named_in_source() -> set[str]:
    """Return the points that the source declares or reaches; without an import, so any process may ask."""
    text = "\n".join(sources().values())
    return {name for _, name in DECLARED.findall(text)} | set(_REACHED.findall(text))
