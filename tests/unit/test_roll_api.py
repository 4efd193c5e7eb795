"""`ops/docker/roll-api.sh`: a roll that fails removes the new containers and leaves nginx as it was."""

import os
import subprocess
from pathlib import Path

import pytest

from ops.dev.stack.home import CHECKOUT

#: In place of `docker` and `docker compose`: each call is a line of `calls`; `there` has the containers of the API.
_DOCKER = """#!/bin/sh
cd "$(dirname "$0")"
echo "$*" >>calls
case "$*" in
    *"ps --quiet nginx") echo nginx1 ;;
    *"ps --quiet api" | *"ps --all --quiet api") cat there ;;
    *"up --detach"*) echo "old1 old2 new1 new2" >there; [ "$FAILS" != up ] ;;
    *"exec -T nginx"*) cat >/dev/null; case "$*" in *"cat >"*) [ "$FAILS" != reload ] ;; esac ;;
    inspect*) echo "    server 10.0.0.1:9999;" ;;
    stop*) [ "$FAILS" != stop ] ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    program = tmp_path / "docker"
    program.write_text(_DOCKER, encoding="ascii")
    program.chmod(0o755)
    (tmp_path / "there").write_text("old1 old2\n", encoding="ascii")
    return program


def _roll(docker: Path, fails: str) -> tuple[int, list[str]]:
    """Return the exit code and the calls of docker."""
    environment = os.environ | {
        "PATH": f"{docker.parent}:{os.environ['PATH']}", "COMPOSE": str(docker), "FAILS": fails,
    }  # fmt: skip
    done = subprocess.run(
        [CHECKOUT / "ops" / "docker" / "roll-api.sh"], env=environment, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    return done.returncode, (docker.parent / "calls").read_text(encoding="utf-8").splitlines()


def _named(calls: list[str], act: str) -> list[str]:
    return [call.split()[-1] for call in calls if call.startswith(act)]


def _files_are_removed(calls: list[str]) -> bool:
    written = max((n for n, call in enumerate(calls) if "cat >/tmp/upstream.conf" in call), default=-1)
    removed = max((n for n, call in enumerate(calls) if "rm" in call and "/tmp/upstream.conf" in call), default=-1)
    return removed > written


@pytest.mark.parametrize("fails", ["up", "reload"])
def test_when_the_new_containers_do_not_take_over_they_are_removed_and_the_old_ones_stay(
    docker: Path, fails: str
) -> None:
    code, calls = _roll(docker, fails)

    assert code != 0
    assert _named(calls, "rm --force") == ["new1", "new2"]
    assert _named(calls, "stop") == []
    assert _files_are_removed(calls)


def test_when_an_old_container_does_not_stop_the_new_ones_stay_and_nginx_finds_them_by_name(docker: Path) -> None:
    code, calls = _roll(docker, "stop")

    assert code != 0
    assert _named(calls, "rm --force") == []
    assert _files_are_removed(calls)


def test_a_roll_replaces_the_old_containers(docker: Path) -> None:
    code, calls = _roll(docker, "nothing")

    assert code == 0
    assert _named(calls, "stop") == ["old1", "old2"]
    assert _named(calls, "rm --force") == []
    assert _files_are_removed(calls)
