"""The settings of the stack without Docker, and the part of them that each process is given."""

from collections.abc import Mapping

from moneyflow.platform.settings import Section, known_names
from ops.dev.stack.application import Program, programs
from ops.dev.stack.home import State
from ops.dev.stack.servers import all_servers
from ops.dev.stack.servers.base import process_environment


def stack_environment(state: State) -> dict[str, str]:
    """Return the settings of the whole application, every process's secrets among them."""
    found: dict[str, str] = {}
    for server in all_servers(state):
        found |= server.settings()
    api = next(program for program in programs(state) if program.kind == "api")
    return found | {
        "BUILD_ENV": "dev",
        "SECRET_KEY": state.secret("application"),
        "BIND_HOST": "127.0.0.1",
        "APP_PORT": str(api.port),
        "APP_URL": f"http://127.0.0.1:{api.port}",
    }


def own_environment(whole: Mapping[str, str], settings: type[Section], *roles: str) -> dict[str, str]:
    """Return the environment of one process: of the settings those that it loads, and no other process's secrets."""
    names = settings.environment_names(*roles)
    return process_environment() | {name: value for name, value in whole.items() if name in names}


def environment_of(program: Program, whole: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of one of the application's processes; settings that are `given` replace the stack's."""
    settings = {**whole, **{name: given[name] for name in known_names() & given.keys()}}
    return own_environment(settings, program.settings, *program.roles) | program.environment
