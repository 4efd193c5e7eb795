"""A real browser, Debian's Chromium, and the page that it opens; a machine without it gets it, or the test fails."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rich.console import Console
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

from ops.dev.stack import packages
from tests.support.waiting import eventually

_PAGE = (Path(__file__).parents[1] / "frontend" / "page.html").read_text(encoding="utf-8")
_OPTIONS = ("--headless=new", "--no-proxy-server", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run")


class PageServer(ThreadingHTTPServer):
    """Serves the page under every path; `api_url` is the API that the page calls."""

    api_url = ""


@contextmanager
def served_page() -> Iterator[PageServer]:
    """Serve the page on a port of 127.0.0.1."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = _PAGE.replace("@API@", server.api_url).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = PageServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, name="page")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Answer:
    """What the page shows of an answer; the status is 0 when the browser refused to show it to the page."""

    status: int
    cached: str | None
    body: str
    #: What else the page says.
    more: Mapping[str, Any]

    @property
    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Browser:
    """A browser with the page open."""

    driver: Chrome

    def open(self, url: str) -> None:
        """Open an address, as a click on a link does."""
        self.driver.get("about:blank")  # Else another fragment alone would load nothing.
        self.driver.get(url)

    def fill(self, **fields: str) -> None:
        """Type into the fields of the page."""
        for name, text in fields.items():
            field = self.driver.find_element(By.ID, name)
            field.clear()
            field.send_keys(text)

    def click(self, button: str) -> Answer:
        """Click a button and return the answer that the page shows then."""
        self.driver.find_element(By.ID, button).click()
        return self.answer()

    def click_twice(self, button: str, then: str) -> Answer:
        """Click two buttons one right after the other, before an answer can come; return what the page shows then."""
        ids = [self.driver.find_element(By.ID, one) for one in (button, then)]
        self.driver.execute_script("arguments[0].click(); arguments[1].click();", *ids)
        return self.answer()

    def choose(self, name: str, path: Path) -> None:
        """Choose a file in a field of the page."""
        self.driver.find_element(By.ID, name).send_keys(str(path))

    def answer(self) -> Answer:
        """Wait for the answer to the page's request."""
        shown = eventually(lambda: self.driver.find_element(By.ID, "answer").text, what="the page shows an answer")
        fields = json.loads(shown)
        return Answer(fields.pop("status"), fields.pop("cached", None), fields.pop("body"), fields)

    def cookies_of_scripts(self) -> str:
        """Return the cookies that a script of the page can read."""
        return str(self.driver.execute_script("return document.cookie"))

    def cookies(self) -> dict[str, dict[str, Any]]:
        """Return all cookies of the page's host."""
        return {cookie["name"]: cookie for cookie in self.driver.get_cookies()}


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Start a browser whose profile is in the folder."""
    packages.ensure_more(Console(stderr=True), packages.BROWSER)
    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for option in (*_OPTIONS, f"--user-data-dir={folder}"):
        options.add_argument(option)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses to sandbox itself for root.
    driver = Chrome(options=options, service=ChromeService("/usr/bin/chromedriver"))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
