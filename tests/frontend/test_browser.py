"""A frontend on another origin, in a real browser: sign-up, activation, a session by cookie, changes, CORS."""

import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import mails, people
from tests.support.browser import Browser, browser, served_page
from tests.support.processes import Processes
from tests.support.waiting import eventually

#: 64 characters, which ASVS asks to take.
_PASSWORD = "correct horse battery staple " + "and " * 8 + "end"


@dataclass(frozen=True)
class Frontend:
    """The page under a configured origin and under one that is not, and the browser."""

    browser: Browser
    url: str
    foreign_url: str


@pytest.fixture
def frontend(platform: AllSettings, processes: Processes, tmp_path: Path) -> Iterator[Frontend]:
    with ExitStack() as stack:
        page = stack.enter_context(served_page())
        url = f"http://localhost:{page.server_port}"
        page.api_url = f"http://localhost:{processes.api(CORS_ORIGINS=url).port}"
        processes.relay(wait_ready=False)
        processes.worker(APP_URL=url)
        window = stack.enter_context(browser(tmp_path / "browser"))
        yield Frontend(window, url, f"http://127.0.0.1:{page.server_port}")


def _link(settings: AllSettings, email: str, url: str) -> str:
    (mail,) = eventually(lambda: mails.to(settings, email), what=f"a mail to {email}")
    found = re.search(rf"{re.escape(url)}/\S*#token=[\w-]+", mail["Text"])
    assert found is not None, mail["Text"]
    return found[0]


def test_a_person_signs_up_activates_signs_in_and_changes_the_profile_in_a_browser(
    frontend: Frontend, platform: AllSettings
) -> None:
    window, email = frontend.browser, f"{uuid.uuid4().hex}@mail.example"
    assert len(_PASSWORD) >= 64

    window.open(frontend.url)
    window.fill(email=email, name="Ada Lovelace", password=_PASSWORD)
    assert window.click("sign-up").status == 202
    window.open(_link(platform, email, frontend.url))
    assert window.answer().status == 200

    window.open(frontend.url)
    window.fill(email=email, password=_PASSWORD, name="Ada King")
    assert window.click("profile").status == 401
    assert window.click("sign-in").status == 201
    assert window.cookies_of_scripts() == ""
    session = window.cookies()["session"]
    assert (session["httpOnly"], session["sameSite"], session["path"]) == (True, "Lax", "/")

    profile = window.click("profile")
    assert (profile.status, profile.json["email"], profile.json["name"]) == (200, email, "Ada Lovelace")
    refused = window.click("change-without-header")
    assert (refused.status, "X-CSRF-Protection" in refused.body) == (403, True)
    changed = window.click("change")
    assert (changed.status, changed.json["name"]) == (200, "Ada King")
    assert window.click("sign-out").status == 204
    assert window.click("profile").status == 401


def _signed_in(frontend: Frontend, platform: AllSettings, database: Database) -> None:
    person = people.sign_up(database, name="Ada")
    people.activate(platform, database, person)
    frontend.browser.open(frontend.url)
    frontend.browser.fill(email=person.email, password="correct horse battery")
    assert frontend.browser.click("sign-in").status == 201


def _statement(path: Path, *, rows: int) -> Path:
    lines = [f"2026-02-{1 + n % 28:02},{n}.50,EUR,purchase number {n} of the month" for n in range(1, rows + 1)]
    path.write_text("\n".join(["Date,Amount,Currency,Description", *lines]), encoding="utf-8")
    return path


def test_a_person_uploads_a_statement_with_progress_and_downloads_an_export_in_a_browser(
    frontend: Frontend, platform: AllSettings, database: Database, tmp_path: Path
) -> None:
    window = frontend.browser
    _signed_in(frontend, platform, database)

    window.choose("file", _statement(tmp_path / "february.csv", rows=3000))
    sent = window.click("upload")
    assert (sent.status, sent.more["seen"][-1]) == (202, 100)
    window.fill(path=f"/v1/imports/{sent.json['id']}")
    imported = eventually(lambda: _ended(window.click("read").json), what="the import ends")
    assert (imported["state"], imported["rows_added"], imported["rows_refused"]) == ("succeeded", 3000, 0)

    asked = window.click("export")
    window.fill(path=f"/v1/exports/{asked.json['id']}")
    exported = eventually(lambda: _ready(window.click("read").json), what="the export is ready")
    window.fill(path=exported["file_url"])
    downloaded = window.click("download").json
    assert downloaded["name"].startswith("attachment")
    assert downloaded["content"].count("purchase number") == 3000


def test_an_upload_that_is_cancelled_leaves_nothing(
    frontend: Frontend, platform: AllSettings, database: Database, tmp_path: Path
) -> None:
    window = frontend.browser
    _signed_in(frontend, platform, database)

    window.choose("file", _statement(tmp_path / "large.csv", rows=800_000))
    cancelled = window.click_twice("upload", "cancel")

    assert (cancelled.status, cancelled.body) == (0, "cancelled")
    with database.transaction() as session:
        assert session.fetch_all("select id from imports") == []
    window.fill(path="/v1/users/me")
    assert window.click("read").status == 200, "the page goes on"


def _ended(shown: Any) -> Any:
    return shown if shown["state"] not in {"pending", "running"} else None


def _ready(shown: Any) -> Any:
    return shown if shown["state"] != "pending" else None


def test_a_page_of_another_origin_is_refused_by_the_browser(frontend: Frontend) -> None:
    window = frontend.browser
    window.open(frontend.foreign_url)

    read = window.click("profile")
    changed = window.click("change")

    assert [(answer.status, "Failed to fetch" in answer.body) for answer in (read, changed)] == [(0, True)] * 2
    window.open(frontend.url)
    assert window.click("profile").status == 401, "the API answers, and the configured origin may read it"
