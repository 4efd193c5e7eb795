"""The brake of acts on many: a question on a terminal, or a canary first where no operator can be asked."""

import sys
from dataclasses import replace
from typing import Protocol
from uuid import UUID

import typer

from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.operations.sources import CANARY_ITEMS, UNCONFIRMED_ITEMS, Order, UnconfirmedError
from ops.cli.output import note


class Freezes(Protocol):
    """Freezes orders, when the number of their items is confirmed."""

    def takes_canary(self, order: Order) -> bool: ...

    def freeze(self, order: Order, *, confirmed: int) -> UUID: ...


def frozen(performer: Freezes, order: Order, *, is_confirmed: bool) -> UUID:
    """Freeze an order of a few items, or one that is confirmed, and return its operation.

    Raises:
        InvalidInputError: there are many items, no operator can be asked, and no canary can go first.
        typer.Exit: the operator does not confirm; nothing is kept.
    """
    confirmed = sys.maxsize if is_confirmed else UNCONFIRMED_ITEMS
    while True:
        try:
            return performer.freeze(order, confirmed=confirmed)
        except UnconfirmedError as error:  # Jobs may fail while the operator is asked: then there are more again.
            confirmed = error.items
        if not can_ask() and performer.takes_canary(order):
            note(f"{confirmed} items: a canary of {CANARY_ITEMS} goes first; --yes acts on all of them at once")
            order = replace(order, canary=CANARY_ITEMS)
        else:
            confirm(f"{order.verb} {confirmed} items?", what=f"{order.verb} would act on {confirmed} items")


def can_ask() -> bool:
    """Return whether an operator can be asked: there is a terminal to answer on."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, what: str) -> None:
    """Ask the operator on the terminal.

    Raises:
        InvalidInputError: no operator can be asked.
        typer.Exit: the operator does not confirm.
    """
    if not can_ask():
        raise InvalidInputError(f"{what}: add --yes when these are meant")
    if not typer.confirm(question, err=True):
        note("nothing was done")
        raise typer.Exit(1)
