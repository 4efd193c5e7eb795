"""How the sync with the CRM is printed: totals, people by id, and differences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.text import Text

from moneyflow.crm.differences import Difference
from moneyflow.crm.gate import Gate
from moneyflow.crm.status import Totals
from ops.cli.output import console, more, print_json, prose, shown, table


def print_totals(totals: Totals, gate: Gate, contacts: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print how many are in which state, whether the CRM answers, and those that need a look."""
    look = [row for row in contacts if row["state"] in {"set aside", "waiting"}]
    if as_json:
        print_json({"totals": asdict(totals), "crm": asdict(gate), "contacts": look})
        return
    console().print(table("state", "people", rows=list(totals.by_state().items())))
    console().print(f"last synced: {shown(totals.last_synced_at)} UTC", markup=False)
    if totals.waiting:
        console().print(f"the oldest change waits for {totals.oldest_waiting_seconds:.0f} seconds", markup=False)
    console().print(_gate_text(gate))
    if look:
        print_contacts(look, as_json=False)


def print_contacts(contacts: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print what is known of people, by id."""
    if as_json:
        print_json({"contacts": contacts})
        return
    names = ("user_id", "state", "changed_at", "synced_at", "synced_version", "attempts", "due_at", "error")
    columns = ("person", "state", "changed (UTC)", "synced (UTC)", "version", "attempts", "next", prose("error"))
    console().print(table(*columns, rows=[tuple(row[name] for name in names) for row in contacts]))


def print_differences(found: Sequence[Difference], *, limit: int, as_json: bool) -> None:
    """Print the differences: how many of each kind, and the first ones."""
    kinds = dict(Counter(one.kind for one in found))
    if as_json:
        print_json({"equal": not found, "kinds": kinds, "differences": [asdict(one) for one in found]})
        return
    if not found:
        console().print(Text("the CRM has what we have", style="green"))
        return
    console().print(table("difference", "people", rows=sorted(kinds.items())))
    rows = [(one.user_id, one.kind, ", ".join(one.fields)) for one in found[:limit]]
    console().print(table("person", "difference", prose("fields"), rows=rows))
    more(len(found), limit)


def _gate_text(gate: Gate) -> Text:
    if not gate.failures:
        return Text("the CRM takes requests", style="green")
    since = f"{gate.failing_since:%Y-%m-%d %H:%M:%S} UTC" if gate.failing_since else "-"
    text = f"{gate.reason}; {gate.failures} failures since {since}, the next attempt in {gate.seconds:.0f} seconds"
    return Text(text, style="red")
