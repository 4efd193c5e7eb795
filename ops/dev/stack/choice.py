"""Choice of the kind of stack: the one that was started here, else Docker or native, as the machine allows."""

from collections.abc import Sequence
from typing import Protocol

from rich.console import Console

from ops.dev.stack.contract import ProcessInfo, Status
from ops.dev.stack.home import State, create_home, stack_home, write_private
from ops.dev.stack.native import NativeStack

#: The file in the stack's folder that has the settings of the running stack; see `ops/cli/checkout.py`.
_ENVIRONMENT = "environment"


class Stack(Protocol):
    """A stack of either kind."""

    def up(self) -> None: ...
    def down(self) -> None: ...
    def reset(self) -> None: ...
    def environment(self) -> dict[str, str]: ...
    def processes(self) -> list[ProcessInfo]: ...
    def kill(self, kind: str, *, registered: str | None = None) -> str | None: ...
    def logs_hint(self) -> str: ...
    def statuses(self) -> list[Status]: ...
    def rabbitmqctl(self, arguments: Sequence[str]) -> int: ...


def choose(console: Console, how: str = "auto") -> Stack:
    """Return the stack of the kind `how`; with `auto` the kind that was started here, else one that the machine has."""
    kept = State(stack_home()).value("stack", "kind")
    kind = how if how != "auto" else kept or ("docker" if _engine_answers() else "native")
    if kind == "docker":
        from ops.dev.stack.compose import ComposeStack  # noqa: PLC0415 - only where an engine answers

        return ComposeStack(console)
    return NativeStack(console)


def remember(stack: Stack) -> None:
    """Keep the kind of a stack before it is started, so that a half-started one can be stopped."""
    State(create_home()).change("stack", "kind", "native" if isinstance(stack, NativeStack) else "docker")


def start(stack: Stack) -> None:
    """Start a stack; then keep its settings, by which `moneyflow` finds it."""
    remember(stack)
    stack.up()
    file = stack_home() / _ENVIRONMENT
    fresh = file.with_suffix(".new")
    write_private(fresh, "".join(f"{name}={value}\n" for name, value in stack.environment().items()))
    fresh.replace(file)


def stop(stack: Stack) -> None:
    """Stop a stack; `moneyflow` finds it no more."""
    (stack_home() / _ENVIRONMENT).unlink(missing_ok=True)
    stack.down()


def reset(stack: Stack) -> None:
    """Stop a stack and delete its data; the next start chooses its kind again."""
    home = stack_home()
    if home.exists():
        State(home).change("stack", "kind", None)
    (home / _ENVIRONMENT).unlink(missing_ok=True)
    stack.reset()


def _engine_answers() -> bool:
    from ops.dev.stack.compose import engine_answers  # noqa: PLC0415

    return engine_answers()
