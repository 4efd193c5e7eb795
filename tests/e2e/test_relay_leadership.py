"""Leader election: one relay publishes; after a leader is killed, frozen or stopped a standby leads."""

import signal

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect
from tests.support.processes import BY_MESSAGES, Process, Processes
from tests.support.proxy import Proxies
from tests.support.servers import RealServers
from tests.support.waiting import eventually


def _leads(relay: Process) -> bool:
    return relay.says("/metrics", "moneyflow_relay_leader 1.0")


def _two(processes: Processes, sabotage: str = "nothing") -> tuple[Process, Process]:
    """Start a leader and a standby, and a worker that gets its jobs from the one that leads."""
    leader = processes.relay(sabotage=sabotage, wait_ready=False)
    processes.worker(**BY_MESSAGES)
    eventually(lambda: _leads(leader), what="the first relay leads")
    standby = processes.relay(sabotage=sabotage)
    eventually(lambda: "relay_standing_by" in standby.log(), what="the second stands by")
    return leader, standby


def test_a_standby_leads_after_the_death_of_the_leader_without_waiting_for_the_frozen_leader_timeout(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    leader, standby = _two(processes, "trusts_the_leader")
    stood_by = not _leads(standby)

    leader.kill()
    ids = jobs.enqueue(database, *[LeaveEffect() for _ in range(5)])
    jobs.until_all(database, ids, "succeeded")

    assert stood_by
    assert _leads(standby)
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def test_a_frozen_leader_is_replaced_and_when_it_thaws_it_changes_nothing_and_stands_by(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    leader, standby = _two(processes, "looks_often")

    leader.signal(signal.SIGSTOP)
    ids = jobs.enqueue(database, *[LeaveEffect() for _ in range(5)])
    jobs.until_all(database, ids, "succeeded")
    leader.signal(signal.SIGCONT)
    eventually(lambda: "relay_standing_by" in leader.log(), what="the thawed relay stands by")
    ids += jobs.enqueue(database, *[LeaveEffect() for _ in range(5)])
    jobs.until_all(database, ids, "succeeded")

    assert _leads(standby)
    assert not _leads(leader)
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def test_a_leader_that_is_asked_to_stop_ends_cleanly_and_hands_over(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    leader, standby = _two(processes)

    exit_code = leader.stop()
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    jobs.until_all(database, [job_id], "succeeded")

    assert exit_code == 0
    assert _leads(standby)


def test_a_leader_that_is_asked_to_stop_while_postgres_answers_nothing_stops_all_the_same(
    platform: AllSettings, servers: RealServers, processes: Processes
) -> None:
    with Proxies() as proxies:
        proxy = proxies.to(servers.postgres.port)
        leader = processes.relay(wait_ready=False, POSTGRES_PORT=str(proxy.port))
        eventually(lambda: _leads(leader), what="it leads")
        proxy.stall()
        eventually(lambda: proxy.held() > 0, what="it has asked something and waits for the answer")

        code = leader.stop(seconds=60)
        still_waiting = proxy.held()
        proxy.flow()  # What it has left ends.
        eventually(lambda: proxy.connections() == 0, what="Postgres has let go of it")

    assert code == 0
    assert still_waiting > 0, "no answer had come when it ended"
