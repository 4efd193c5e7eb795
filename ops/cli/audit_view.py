"""What `moneyflow audit` prints: chains, checkpoints and events."""

import dataclasses
from collections.abc import Sequence

from psycopg.rows import DictRow
from rich.text import Text

from moneyflow.audit.checkpoints import Checkpoint
from moneyflow.audit.verify import Chain
from ops.cli.output import console, note, plain, print_json, prose, table


def print_chains(chains: Sequence[Chain], *, newest: str | None, as_json: bool) -> None:
    """Print the result of a verification, with the name of the newest checkpoint that was compared."""
    if as_json:
        sound = all(chain.fault is None for chain in chains)
        print_json({"sound": sound, "checkpoint": newest, "chains": [dataclasses.asdict(chain) for chain in chains]})
        return
    rows = [(chain.topic, chain.partition, chain.rows, _finding(chain)) for chain in chains]
    title = f"compared with the checkpoints up to {newest}" if newest else None
    console().print(table("topic", "partition", "rows", prose("finding"), rows=rows, title=title))


def print_checkpoints(found: Sequence[Checkpoint], *, as_json: bool) -> None:
    """Print checkpoints: how many chains and rows each has signed."""
    described = [
        {
            "checkpoint": one.name,
            "taken_at": one.taken_at,
            "chains": len(one.heads),
            "rows": sum(head.height for head in one.heads),
        }
        for one in found
    ]
    if as_json:
        print_json({"checkpoints": described})
        return
    columns = ("checkpoint", "taken_at", "chains", "rows")
    console().print(table(*columns, rows=[[one[name] for name in columns] for one in described]))


def print_events(found: Sequence[DictRow], *, limit: int, as_json: bool) -> None:
    """Print a page of events; one more than the limit means that there are further ones."""
    shown = found[:limit]
    before = shown[-1]["id"] if len(found) > limit else None
    if as_json:
        print_json({"events": shown, "before": before})
        return
    columns = ("time", "type", "id", "subject", "actor", "request", "chain", "position")
    rows = [
        (
            event["time"], event["type"], event["id"], event["subject"], event["actor_id"], event["correlation_id"],
            f"{event['topic']}/{event['partition']}", event["position"],
        )
        for event in shown
    ]  # fmt: skip
    console().print(table(*columns, rows=rows))
    if before:
        note(f"and more; see them with --before {before}")


def _finding(chain: Chain) -> Text:
    return plain(chain.fault, style="red") if chain.fault else Text("sound", style="green")
