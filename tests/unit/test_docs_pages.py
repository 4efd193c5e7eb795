"""The pages for people: whole without another host, under a strict policy, and each problem is explained."""

import re

import falcon.testing
import pytest

from api.openapi.__main__ import app
from api.openapi.errors import AT_THE_DOOR, EVERY
from ops.dev.stack.home import CHECKOUT


@pytest.fixture(scope="module")
def client() -> falcon.testing.TestClient:
    return falcon.testing.TestClient(app())


@pytest.mark.parametrize("page", ["/docs", "/docs/problems"])
def test_every_file_of_a_page_comes_from_this_host(client: falcon.testing.TestClient, page: str) -> None:
    html = client.simulate_get(page)

    files = re.findall(r'(?:src|href)="([^"]+)"', html.text)

    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert len(files) > 1
    for file in files:
        answer = client.simulate_get(file)
        assert (answer.status_code, file[0]) == (200, "/"), file
        assert answer.content
        again = client.simulate_get(file, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304


@pytest.mark.parametrize("page", ["/docs", "/docs/problems"])
def test_a_page_allows_scripts_and_styles_of_this_host_alone(client: falcon.testing.TestClient, page: str) -> None:
    answer = client.simulate_get(page)

    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in str(policy)
    assert not re.search(r"<script>|<style|style=|\son\w+=", answer.text)


def test_the_page_shows_the_document_of_this_api(client: falcon.testing.TestClient) -> None:
    start = client.simulate_get("/docs/start.js").text
    bundle = client.simulate_get("/docs/swagger-ui-bundle.js").text

    assert 'url: "/openapi.json"' in start
    assert "SwaggerUIBundle" in bundle


def test_the_type_of_every_problem_leads_to_its_explanation(client: falcon.testing.TestClient) -> None:
    for kind in (*EVERY, *AT_THE_DOOR):
        page, _, anchor = kind.type.partition("#")
        assert f'<h2 id="{anchor}">{kind.title} ' in client.simulate_get(page).text
    unknown = client.simulate_get("/docs/nothing.js")

    assert unknown.json["type"] in {kind.type for kind in EVERY}
    assert client.simulate_get("/nowhere").json["type"] == unknown.json["type"]
    assert client.simulate_put("/docs").json["type"] in {kind.type for kind in EVERY}


def test_the_problems_of_nginx_are_those_of_the_api() -> None:
    template = (CHECKOUT / "ops" / "docker" / "nginx" / "nginx.conf.template").read_text(encoding="utf-8")
    titles, types = (
        dict(re.findall(r'^ +(default|\d+) "?([^";]+)"?;$', block, re.MULTILINE))
        for block in re.findall(r"map \$status \$problem_(?:title|type) {\n(.*?)\n    }", template, re.DOTALL)
    )
    known = {(kind.status, kind.title, kind.anchor) for kind in (*EVERY, *AT_THE_DOOR)}

    assert len(titles) > 10
    assert titles.keys() == types.keys()
    for status, title in titles.items():
        assert (400 if status == "default" else int(status), title, types[status]) in known


@pytest.mark.parametrize("name", ["..%2Fdocs.html", "docs.html", "problems.jinja", "LICENSE"])
def test_no_other_file_is_served(client: falcon.testing.TestClient, name: str) -> None:
    assert client.simulate_get(f"/docs/{name}").status_code == 404
