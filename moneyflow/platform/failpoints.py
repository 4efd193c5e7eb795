"""Named points in the code at which a test lets a process die; in production nothing happens there."""

from collections.abc import Callable
from typing import Literal, get_args

#: Each place at which a crash leaves something else behind; a name says what was just done, or what comes `before_`.
Point = Literal[
    "session.before_commit",
    "session.after_commit",
    "worker.claimed",
    "worker.claimed_quarantined",
    "worker.before_handler",
    "worker.before_finish",
    "worker.finished",
    "worker.acked",
    "worker.before_failure",
    "worker.failure_written",
    "worker.replayed",
    "relay.before_publish",
    "relay.confirmed",
    "relay.marked",
    "relay.letters_confirmed",
    "relay.letters_deleted",
    "relay.events_confirmed",
    "relay.events_deleted",
    "relay.rescued",
    "relay.missing_found",
    "relay.before_batch_end",
    "relay.batches_ended",
    "relay.before_tick",
    "relay.ticked",
    "consumer.committed",
    "consumer.buried",
]
POINTS: tuple[Point, ...] = get_args(Point)

_hook: Callable[[Point], None] | None = None


def reach(point: Point) -> None:
    """Say that the point is reached: nothing happens, unless a test has set a hook.

    Raises:
        ValueError: with a hook, when the point is not declared above.
    """
    if _hook is None:
        return
    if point not in POINTS:
        raise ValueError(f"{point} is no failpoint; declare it in {__name__}.Point")
    _hook(point)


def set_hook(hook: Callable[[Point], None] | None) -> None:
    """Let `hook` be called at every point from now on; None ends it."""
    global _hook  # noqa: PLW0603 - one for the process, as a crash is
    _hook = hook
