"""A frontend on another origin, in a real browser: sign-up, activation, a session by cookie, changes, CORS."""

import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from moneyflow.settings import AllSettings
from tests.support import mails
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


def test_a_page_of_another_origin_is_refused_by_the_browser(frontend: Frontend) -> None:
    window = frontend.browser
    window.open(frontend.foreign_url)

    read = window.click("profile")
    changed = window.click("change")

    assert [(answer.status, "Failed to fetch" in answer.body) for answer in (read, changed)] == [(0, True)] * 2
    window.open(frontend.url)
    assert window.click("profile").status == 401, "the API answers, and the configured origin may read it"
