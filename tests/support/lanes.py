"""How tests are dealt to xdist workers: most of them one by one, some one after the other in a lane of their own."""

from xdist.scheduler import LoadScopeScheduling

#: The lane of tests that stop, kill or cut off servers: only the worker that has it needs servers of its own.
BROKEN_SERVERS = "broken servers"
#: The lane of tests that start a whole stack, or check a whole checkout, and so use all cores by themselves.
SECOND_STACKS = "second stacks"
_LANES = {
    "tests/chaos/test_controls.py": BROKEN_SERVERS,
    "tests/chaos/test_failpoints.py": BROKEN_SERVERS,
    "tests/chaos/test_storms.py": BROKEN_SERVERS,
    "tests/e2e/test_operator_tasks.py": BROKEN_SERVERS,
    "tests/e2e/test_server_outages.py": BROKEN_SERVERS,
    "tests/e2e/test_api_socket.py": SECOND_STACKS,
    "tests/e2e/test_benchmarks.py": SECOND_STACKS,
    "tests/e2e/test_least_privilege.py": SECOND_STACKS,
    "tests/e2e/test_new_job.py": SECOND_STACKS,
    "tests/e2e/test_reload.py": SECOND_STACKS,
    "tests/e2e/test_stack.py": SECOND_STACKS,
    "tests/e2e/test_stack_repair.py": SECOND_STACKS,
}
#: Modules whose tests share what is started once for all of them.
_SHARING = ("tests/unit/", "tests/e2e/test_api.py", "tests/e2e/test_front_door.py")
_ORDER = (BROKEN_SERVERS, SECOND_STACKS)


def lane(nodeid: str) -> str:
    """Return what a test shares with those that run before and after it in the same worker."""
    path = nodeid.partition("::")[0]
    if path in _LANES:
        return _LANES[path]
    return path if path.startswith(_SHARING) else nodeid


def place(nodeid: str) -> int:
    """Return when a test begins: lanes take longest and begin first, unit tests fill the gaps at the end."""
    if nodeid.startswith("tests/unit/"):
        return len(_ORDER) + 1
    name = lane(nodeid)
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


class Lanes(LoadScopeScheduling):
    """Deals lanes in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)
