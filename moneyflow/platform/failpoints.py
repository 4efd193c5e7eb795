"""Failpoints: named points at which a test crashes the process; without a test's hook they do nothing.

Each point is declared next to the code that reaches it::

    _COMMITTED = failpoints.declare("consumer.committed")
    ...
    failpoints.reach(_COMMITTED)
"""

from collections.abc import Callable

from moneyflow.platform.patterns import Pattern

#: The name of a point: the process that reaches it, then what was just done, or what comes, with `before_`.
_NAME = Pattern(r"[a-z]+\.[a-z]+(_[a-z]+)*", longest=100)

#: Declared points in the order of their declaration; filled when the modules that reach them are imported.
_points: dict[str, None] = {}
_hook: Callable[[str], None] | None = None


def declare(name: str) -> str:
    """Declare a failpoint and return its name; a crash there leaves something else behind than at any other point.

    Raises:
        ValueError: the name is not of the form `consumer.committed`.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"failpoint {name!r}: the name must be of the form consumer.committed")
    _points[name] = None
    return name


def declared() -> tuple[str, ...]:
    """Return the points of the modules that are imported."""
    return tuple(_points)


def reach(point: str) -> None:
    """Call the hook when a test has set one; otherwise do nothing.

    Raises:
        ValueError: with a hook, when the point is not declared.
    """
    if _hook is None:
        return
    if point not in _points:
        raise ValueError(f"{point} is no failpoint; declare it with failpoints.declare() in the module that reaches it")
    _hook(point)


def set_hook(hook: Callable[[str], None] | None) -> None:
    """Set the function that is called at every point; None removes it."""
    global _hook  # noqa: PLW0603 - one for the process, as a crash is
    _hook = hook
