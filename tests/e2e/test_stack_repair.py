"""A running stack of its own: what `make status` shows is true, reading changes nothing, and `make up` repairs it."""

import stat
from pathlib import Path

import psutil
import pytest

from ops.dev.stack.processes import identify
from tests.support.stacks import SERVERS, SecondStack
from tests.support.waiting import eventually

#: One of each kind.
_KILLED = SERVERS | {"supervisor", "api", "relay-1", "worker-1", "consumer-audit", "consumer-crm"}
#: All at once but one server, which is to stay as it is: each start of the commands takes seconds.
_TOGETHER = (_KILLED - {"mail"},)
#: By which the process of each pid is known: its program's name, or a word of its command line.
_IS = {
    "postgres": "postgres", "rabbitmq": "beam.smp", "epmd": "epmd", "kafka": "kafka.Kafka", "redis": "redis-server",
    "mail": "mail_catcher", "nginx": "nginx", "crm": "crm_double", "supervisor": "ops.dev.stack.supervisor",
    "api": "gunicorn", "relay": "workers.relay", "worker": "workers", "consumer": "consumers",
}  # fmt: skip
_OF_OTHERS = stat.S_IROTH | stat.S_IWOTH | stat.S_IXOTH | stat.S_IRGRP | stat.S_IWGRP
#: A program that the checkout declares from now on.
_NEW = '\n    _Declared("relay-3", "relay", ("-m", "workers.relay"), "RELAY_METRICS_PORT", RelaySettings),\n)\n'


def _files(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Return the files that commands of the stack write, with their content."""
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir() if path.is_file()}


@pytest.mark.timeout(900)
def test_each_pid_that_is_shown_is_that_server_or_process_itself(stack: SecondStack) -> None:
    rows = stack.rows()

    for name, (pid, _, status) in rows.items():
        process = psutil.Process(int(pid))
        assert _IS[name.partition("-")[0]] in f"{process.name()} {' '.join(process.cmdline())}", name
        assert status == "ready", name


@pytest.mark.timeout(900)
def test_what_the_stack_writes_is_for_its_owner_alone(stack: SecondStack) -> None:
    home = stack.home
    found = [home.parent, home, *(path for path in home.rglob("*") if not path.is_symlink())]

    open_to_others = [path for path in found if path.exists() and path.stat().st_mode & _OF_OTHERS]

    assert {path.name for path in found} >= {"state.json", "logs", "supervisor.log", "definitions.json", "data"}
    assert open_to_others == []


@pytest.mark.timeout(900)
def test_reading_writes_nothing_whatever_is_dead(stack: SecondStack) -> None:
    home = stack.home
    environment, rows = stack.environment(), stack.rows()
    stack.kill(rows["mail"][0])
    before = _files(home)

    dead, still = stack.rows(), stack.environment()

    assert dead["mail"][:2] == ("-", rows["mail"][1])
    assert dead["mail"][2].startswith("does not run")
    assert still == environment
    assert _files(home) == before
    stack.up()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Kill one at a time in the long form, and else those of a group together."""
    if "killed" in metafunc.fixturenames:
        alone = [{name} for name in sorted(_KILLED)]
        groups = alone if metafunc.config.getoption("--one-by-one") else _TOGETHER
        metafunc.parametrize("killed", groups, ids=["+".join(sorted(group)) for group in groups])


@pytest.mark.timeout(900)
def test_killed_servers_and_processes_are_shown_and_repaired_by_make_up_and_nothing_moves(
    stack: SecondStack, killed: set[str]
) -> None:
    before = stack.rows()

    for name in sorted(
        killed, key=lambda name: (name == "supervisor", name)
    ):  # With it the kernel kills its processes.
        stack.kill(before[name][0])
    dead = stack.rows()
    stack.up()

    after = stack.rows()
    # What the supervisor keeps alive may run again already.
    assert {dead[name][0] for name in killed & (SERVERS | {"supervisor"})} <= {"-"}
    assert {shown: row for shown, row in after.items() if row[2] != "ready"} == {}
    assert [name for name in killed if after[name][0] == before[name][0]] == []
    assert {shown: row[1] for shown, row in after.items()} == {shown: row[1] for shown, row in before.items()}
    untouched = SERVERS - killed - {"epmd"}
    assert {one: after[one][0] for one in untouched} == {one: before[one][0] for one in untouched}


@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_a_program_that_is_new_in_the_checkout_is_started_and_no_other_process_ends(stack: SecondStack) -> None:
    before = stack.rows()
    declared = stack.checkout / "ops" / "dev" / "stack" / "application.py"
    source = declared.read_text(encoding="utf-8")

    declared.write_text(source.replace("\n)\n\n\ndef programs", _NEW + "\n\ndef programs"), encoding="utf-8")
    shown = stack.run("status").stdout
    stack.up()
    after = stack.rows()
    declared.write_text(source, encoding="utf-8")
    stack.up()

    assert "relay-3" in shown
    assert after["relay-3"][2] == "ready"
    kept = before.keys() - {"relay-3"}
    assert {name: after[name][0] for name in kept} == {name: before[name][0] for name in kept}
    assert "relay-3" not in stack.rows(), "a program that is no longer declared is stopped"
    eventually(lambda: identify(int(after["relay-3"][0])) is None, what="its process has ended")


@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_a_supervisor_that_ends_as_it_starts_is_named_with_its_log_and_nothing_is_waited_for(
    stack: SecondStack,
) -> None:
    source = stack.checkout / "ops" / "dev" / "stack" / "supervisor.py"
    right = source.read_text(encoding="utf-8")
    stack.kill(stack.rows()["supervisor"][0])

    source.write_text("raise SystemExit('out of order')\n", encoding="utf-8")
    refused = stack.run("up", "--with", "native")
    source.write_text(right, encoding="utf-8")
    stack.up()

    assert refused.returncode == 1
    assert "supervisor ended before api was ready; the end of its log" in refused.stdout + refused.stderr
    assert "out of order" in refused.stdout + refused.stderr
    assert {name: row for name, row in stack.rows().items() if row[2] != "ready"} == {}
