# noqa: INP001 - a script of the image, no part of a package
"""Uninstall the packages that the application does not need at run time: the lock has the developers' as well.

It keeps the dependencies in pyproject.toml, and theirs in turn, by the metadata of the installed packages.
"""

import shutil
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(requirements: list[str]) -> set[str]:
    """Return the names of all packages that the requirements need, directly or not."""
    found: set[str] = set()
    asked: set[tuple[str, str]] = set()
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found.add(name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in asked:
                asked.add((name, wanted))
                waiting += [(Requirement(text), wanted) for text in _requires(name)]
    return found


def _requires(name: str) -> list[str]:
    try:
        return distribution(name).requires or []
    except PackageNotFoundError:
        return []  # For another platform: the lock's markers exclude it here.


def _remove(package: Distribution) -> None:
    for file in package.files or ():
        path = Path(str(package.locate_file(file)))
        path.unlink(missing_ok=True)
        if path.suffix == ".py":
            shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def main() -> None:
    """Prune the environment of this interpreter."""
    project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
    keep = needed(project["dependencies"])
    for package in list(distributions()):
        name = canonicalize_name(package.name)
        if name not in keep:
            print(f"removing {name}")
            _remove(package)


if __name__ == "__main__":
    main()
