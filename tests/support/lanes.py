"""How tests are dealt to xdist workers: most of them one by one, some one after the other in a lane of their own."""

from xdist.scheduler import LoadScopeScheduling

#: The lane of tests that stop, kill or cut off servers: only the worker that has it needs servers of its own.
BROKEN_SERVERS = "broken servers"
#: The lane of tests that share a second stack: the first tests start it, the last one deletes it.
SECOND_STACK = "second stack"
#: The lane of tests that run a checkout, or many processes, and so use all cores by themselves.
CHECKOUTS = "checkouts"
#: The modules of each lane, in the order in which they run.
_LANES = {
    "tests/chaos/test_controls.py": BROKEN_SERVERS,
    "tests/chaos/test_event_storms.py": BROKEN_SERVERS,
    "tests/chaos/test_failpoints.py": BROKEN_SERVERS,
    "tests/chaos/test_storms.py": BROKEN_SERVERS,
    "tests/e2e/test_operator_tasks.py": BROKEN_SERVERS,
    "tests/e2e/test_server_outages.py": BROKEN_SERVERS,
    "tests/e2e/test_stack.py": SECOND_STACK,
    "tests/e2e/test_least_privilege.py": SECOND_STACK,
    "tests/e2e/test_stack_repair.py": SECOND_STACK,
    "tests/e2e/test_stack_reset.py": SECOND_STACK,
    "tests/e2e/test_api_socket.py": CHECKOUTS,
    "tests/e2e/test_benchmarks.py": CHECKOUTS,
    "tests/e2e/test_new_event.py": CHECKOUTS,
    "tests/e2e/test_new_job.py": CHECKOUTS,
    "tests/e2e/test_reload.py": CHECKOUTS,
}
#: Modules whose tests share what is started once for all of them.
_SHARING = (
    "tests/unit/",
    "tests/integration/test_storage.py",
    "tests/e2e/test_api.py",
    "tests/e2e/test_front_door.py",
)
_MODULES = tuple(_LANES)


def lane(nodeid: str) -> str:
    """Return what a test shares with those that run before and after it in the same worker."""
    path = nodeid.partition("::")[0]
    if path in _LANES:
        return _LANES[path]
    return path if path.startswith(_SHARING) else nodeid


def place(nodeid: str) -> int:
    """Return when a test begins: lanes take longest and begin first, unit tests fill the gaps at the end."""
    path = nodeid.partition("::")[0]
    if path in _LANES:
        return _MODULES.index(path)
    return len(_MODULES) + path.startswith("tests/unit/")


class Lanes(LoadScopeScheduling):
    """Deals lanes in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)
