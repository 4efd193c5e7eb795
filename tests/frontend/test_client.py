"""The client in TypeScript: generated from the API's own document, compiled, and used against the running API."""

import re
from pathlib import Path

import httpx

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import node, people
from tests.support.processes import Processes


def test_a_frontend_in_typescript_uses_the_running_api(
    platform: AllSettings, database: Database, processes: Processes, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{processes.api().port}"
    processes.relay(wait_ready=False)
    processes.worker()
    person = people.sign_up(database, name="Ada")
    people.activate(platform, database, person)

    client = node.project(tmp_path / "client", httpx.get(f"{url}/openapi.json", trust_env=False).content)
    environment = {"API_URL": url, "EMAIL": person.email, "PASSWORD": "correct horse battery"}
    done = client.run("--test", "--test-reporter=tap", "dist/story.test.js", **environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE), done.stdout
