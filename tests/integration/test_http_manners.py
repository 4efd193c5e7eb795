"""Manners of the API over HTTP: methods, headers, bodies, compression, conditional reads and CORS."""

import gzip
import json
from collections.abc import Callable, Iterator

import falcon.testing
import pytest

from api.app import create_app
from api.bodies import MAX_BYTES
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import callers, people
from tests.support.servers import Fleet, RealServers, fresh_environment
from tests.support.services import services

_APP = "https://app.example"
_SIGN_UP = {"email": "ada@mail.example", "name": "Ada", "password": "correct horse battery"}
_JSON = {"Content-Type": "application/json"}
#: One request for each way to end.
_ENDS: dict[str, tuple[str, str, int]] = {
    "done": ("GET", "/healthz", 200),
    "invalid": ("POST", "/v1/users", 415),
    "no session": ("GET", "/v1/users/me", 401),
    "no address": ("GET", "/nowhere", 404),
    "no method": ("PUT", "/v1/users", 405),
}


@pytest.fixture(scope="module")
def environment(fleet: Fleet) -> Iterator[dict[str, str]]:
    """Return the environment of a database that all tests of this module share."""
    with fresh_environment(fleet.shared) as environment:
        yield environment


Client = falcon.testing.TestClient
NewClient = Callable[..., Client]


@pytest.fixture
def new_client(servers: RealServers, settings: AllSettings, database: Database) -> NewClient:
    """Return what makes a client of an application with other settings."""
    assert servers.redis.identity(), "it runs"

    def new(*, cors_origins: tuple[str, ...] = (), app_url: str = "https://api.example", **headers: str) -> Client:
        changed = settings.model_copy(update={"app_url": app_url})
        app = create_app(services(changed, database, cors_origins=cors_origins))
        return falcon.testing.TestClient(app, headers=headers)

    return new


@pytest.fixture
def client(new_client: NewClient) -> Client:
    return new_client()


@pytest.fixture
def me(new_client: NewClient, settings: AllSettings, database: Database) -> Client:
    """Return a client of a user with a long name, so that the profile is longer than a kilobyte."""
    person = people.sign_up(database, name="Ada")
    with database.transaction() as session:
        session.execute("update users set name = repeat('Ada ', 500) where id = %(id)s", {"id": person.user_id})
    return new_client(**callers.bearer(settings, user_id=person.user_id))


@pytest.mark.parametrize(("method", "path", "status"), _ENDS.values(), ids=_ENDS)
def test_every_answer_has_the_security_headers_and_every_error_is_a_problem(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = client.simulate_request(method, path)

    assert answer.status_code == status
    assert {name: answer.headers[name] for name in (
        "x-content-type-options", "content-security-policy", "referrer-policy", "cross-origin-resource-policy",
        "cache-control", "strict-transport-security",
    )} == {
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
        "strict-transport-security": "max-age=31536000",
    }  # fmt: skip
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["instance"] == answer.headers["x-request-id"]


def test_over_http_no_browser_is_bound_to_https(new_client: NewClient) -> None:
    answer = new_client(app_url="http://localhost:9999").simulate_get("/healthz")

    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/v1/users/me", "/nowhere", "/v1/jobs/x"])
def test_head_has_the_headers_of_get_and_no_body(me: Client, path: str) -> None:
    got = me.simulate_get(path, headers={"X-Request-Id": "one"})
    head = me.simulate_head(path, headers={"X-Request-Id": "one"})

    assert head.content == b""
    assert head.status_code == got.status_code
    varying = {"content-length"} if path == "/metrics" else set()
    assert {name: value for name, value in head.headers.items() if name not in varying} == {
        name: value for name, value in got.headers.items() if name not in varying
    }
    assert path == "/metrics" or int(head.headers["content-length"]) == len(got.content) > 0


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/v1/users/me", "DELETE, GET, HEAD, PATCH"), ("/v1/users", "POST"), ("/healthz", "GET, HEAD")],
)
def test_options_and_405_name_the_methods_of_the_address(client: Client, path: str, allowed: str) -> None:
    options = client.simulate_options(path)
    refused = client.simulate_request("TRACE", path)

    assert (options.status_code, options.content, options.headers["allow"]) == (200, b"", allowed)
    assert (refused.status_code, refused.headers["allow"]) == (405, f"{allowed}, OPTIONS")
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["", "a, b", "a b", "a/b", "a@b", "a:b", "[::1", "a" * 300])
def test_a_request_without_one_valid_host_is_refused(client: Client, host: str) -> None:
    refused = client.simulate_get("/healthz", extras={"HTTP_HOST": host})

    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
    assert "Host" in refused.json["detail"]


@pytest.mark.parametrize("host", ["localhost:9999", "api.example", "127.0.0.1", "[::1]:80", "money_flow-api-1:9999"])
def test_a_request_with_a_host_is_answered(client: Client, host: str) -> None:
    assert client.simulate_get("/healthz", extras={"HTTP_HOST": host}).status_code == 200


def test_http_1_0_needs_no_host(client: Client) -> None:
    answer = client.simulate_get("/healthz", extras={"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1.0"})

    assert answer.status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "GZIP"])
def test_an_encoded_body_is_refused_before_it_is_decoded(client: Client, encoding: str) -> None:
    bomb = gzip.compress(b'{"email": "' + b"a" * 10_000_000 + b'"}')

    refused = client.simulate_post("/v1/users", body=bomb, headers={**_JSON, "Content-Encoding": encoding})

    assert (refused.status_code, refused.headers["accept-encoding"]) == (415, "identity")
    assert "Content-Encoding" in refused.json["detail"]


def test_a_body_that_says_that_it_is_not_encoded_is_read(client: Client) -> None:
    headers = {**_JSON, "Content-Encoding": "identity"}

    assert client.simulate_post("/v1/users", body=json.dumps(_SIGN_UP), headers=headers).status_code == 202


def _nested(levels: int, *, inside: str) -> str:
    return '{"name": ' + f"{inside}" * levels + "1" + {"[": "]", '{"a":': "}"}[inside] * levels + "}"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ('{"email": "a@b.example", "email": "c@d.example"}', '"email"'),
        ('{"name": {"first": "A", "f\\u0069rst": "B"}}', '"first"'),
        ('{"' + "k" * 10_000 + '": 1, "' + "k" * 10_000 + '": 2}', '"kkk'),
        (_nested(40, inside="["), "32 levels"),
        (_nested(40, inside='{"a":'), "32 levels"),
        ("[" * 30_000 + "]" * 30_000, "recursion"),
        ('{"name": 1e999}', "too large"),
        ('{"name": -1e999}', "too large"),
        ('{"name": [NaN]}', "not JSON"),
        ('{"name": Infinity}', "not JSON"),
        ('{"name": 18446744073709551616}', "64 bits"),
        ('{"name": [[-9223372036854775809]]}', "64 bits"),
        ('{"name": ' + "1" * 50_000 + "}", "out of range"),
        ('{"name": "\\ud800"}', "not JSON"),
    ],
)
def test_json_that_readers_take_for_different_things_is_refused_by_what_is_wrong(
    client: Client, body: str, named: str
) -> None:
    refused = client.simulate_post("/v1/users", body=body, headers=_JSON)

    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
    assert named in refused.json["detail"]
    assert len(refused.content) < 1000


def test_json_of_32_levels_and_64_bits_is_read_and_refused_by_the_model_alone(client: Client) -> None:
    for body in (_nested(31, inside="["), '{"name": 9223372036854775807}', '{"name": 0.1}'):
        assert client.simulate_post("/v1/users", body=body, headers=_JSON).status_code == 422


@pytest.mark.parametrize(
    "unknown",
    [
        {f"field{number}": 1 for number in range(4100)},
        {"k" * 60_000: 1},
        {f"{number}" + "~" * 600: 1 for number in range(100)},
    ],
    ids=["many fields", "a long name", "many long names"],
)
def test_the_answer_to_64_kilobytes_of_unknown_fields_is_short_and_counts_them(
    client: Client, unknown: dict[str, int]
) -> None:
    body = json.dumps(_SIGN_UP | unknown)
    assert MAX_BYTES * 0.9 < len(body) <= MAX_BYTES

    refused = client.simulate_post("/v1/users", body=body, headers=_JSON)

    assert refused.status_code == 422
    assert 1 <= len(refused.json["errors"]) <= 20
    assert len(refused.content) < 10_000
    assert refused.json["type"] == "/docs/problems#invalid-input"
    assert len(unknown) == 1 or f"20 of {len(unknown)}" in refused.json["detail"]


def test_the_answer_to_64_kilobytes_of_nul_is_short_too(client: Client) -> None:
    body = "[" + ", ".join(['"\\u0000"'] * 6500) + "]"
    assert MAX_BYTES * 0.9 < len(body) <= MAX_BYTES

    refused = client.simulate_post("/v1/users", body=body, headers=_JSON)

    assert (refused.status_code, len(refused.json["errors"])) == (422, 20)
    assert "20 of 6500" in refused.json["detail"]


def test_an_answer_above_a_kilobyte_is_compressed_for_who_takes_it(me: Client) -> None:
    plain = me.simulate_get("/v1/users/me", headers={"Accept-Encoding": "identity"})
    packed = me.simulate_get("/v1/users/me", headers={"Accept-Encoding": "br;q=1, gzip;q=0.8"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 2
    assert (plain.headers["vary"], packed.headers["vary"]) == ("Accept-Encoding", "Accept-Encoding")


@pytest.mark.parametrize("accepted", ["", "br", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *"])
def test_no_answer_is_compressed_for_who_does_not_take_gzip(me: Client, accepted: str) -> None:
    assert "content-encoding" not in me.simulate_get("/v1/users/me", headers={"Accept-Encoding": accepted}).headers


@pytest.mark.parametrize("accepted", ["gzip", "*", "GZIP;q=1.0", "identity;q=0.5, gzip", "gzip ; q=0.001"])
def test_gzip_is_taken_by_its_name_or_by_a_star(me: Client, accepted: str) -> None:
    answer = me.simulate_get("/v1/users/me", headers={"Accept-Encoding": accepted})

    assert answer.headers["content-encoding"] == "gzip"


def test_neither_a_short_answer_nor_one_with_a_secret_is_compressed(client: Client, database: Database) -> None:
    person = people.sign_up(database, name="Ada")
    with database.transaction() as session:
        session.execute("update users set activated_at = now() where email = %(email)s", {"email": person.email})
    body = {"email": person.email, "password": "correct horse battery", "transport": "bearer"}
    gzips = {"Accept-Encoding": "gzip"}

    signed_in = client.simulate_post("/v1/sessions", json=body, headers={**gzips, "User-Agent": "a" * 2000})

    assert (signed_in.status_code, "token" in signed_in.json) == (201, True)
    assert "content-encoding" not in signed_in.headers
    assert "content-encoding" not in client.simulate_get("/healthz", headers=gzips).headers


def test_a_read_by_the_tag_of_either_form_is_answered_with_304(me: Client) -> None:
    plain = me.simulate_get("/v1/users/me").headers["etag"]
    packed = me.simulate_get("/v1/users/me", headers={"Accept-Encoding": "gzip"}).headers["etag"]

    assert packed != plain
    for method in ("GET", "HEAD"):
        for tag in (plain, packed, f"W/{plain}", f'"other", {packed}', "*"):
            known = me.simulate_request(method, "/v1/users/me", headers={"If-None-Match": tag})
            assert (known.status_code, known.content) == (304, b""), tag
    assert me.simulate_get("/v1/users/me", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_304_has_the_tag_of_the_form_that_the_client_has(me: Client) -> None:
    plain = me.simulate_get("/v1/users/me").headers["etag"]
    packed = me.simulate_get("/v1/users/me", headers={"Accept-Encoding": "gzip"}).headers["etag"]
    sent_and_answered = {plain: plain, packed: packed, f"W/{packed}": packed, f"{plain}, {packed}": plain, "*": plain}

    for sent, answered in sent_and_answered.items():
        known = me.simulate_get("/v1/users/me", headers={"If-None-Match": sent, "Accept-Encoding": "gzip"})

        assert (known.status_code, known.headers["etag"]) == (304, answered), sent
        assert known.headers["vary"] == "Accept-Encoding"


def test_a_change_by_the_tag_of_a_compressed_answer_is_done(me: Client) -> None:
    packed = me.simulate_get("/v1/users/me", headers={"Accept-Encoding": "gzip"}).headers["etag"]

    changed = me.simulate_patch("/v1/users/me", json={"name": "Ada"}, headers={"If-Match": packed})
    again = me.simulate_patch("/v1/users/me", json={"name": "Eve"}, headers={"If-Match": packed})

    assert (changed.status_code, again.status_code) == (200, 412)


def test_without_origins_no_answer_has_a_header_of_cors(client: Client) -> None:
    preflight = {"Origin": _APP, "Access-Control-Request-Method": "POST"}

    answers = [
        client.simulate_options("/v1/users", headers=preflight),
        client.simulate_get("/healthz", headers=preflight),
    ]

    assert [name for answer in answers for name in answer.headers if name.startswith("access-control")] == []


def test_a_preflight_of_a_configured_origin_is_answered_and_kept_for_a_day(new_client: NewClient) -> None:
    client = new_client(cors_origins=(_APP, "http://localhost:5173"))

    answer = client.simulate_options(
        "/v1/users/me",
        headers={
            "Origin": _APP,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "if-match,x-csrf-protection",
        },
    )

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == _APP
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "if-match,x-csrf-protection"
    assert answer.headers["access-control-max-age"] == "86400"


@pytest.mark.parametrize("status", [200, 401, 404])
def test_an_answer_to_a_configured_origin_may_be_read_with_its_headers_errors_too(
    new_client: NewClient, status: int
) -> None:
    path = {200: "/healthz", 401: "/v1/users/me", 404: "/nowhere"}[status]

    answer = new_client(cors_origins=(_APP,)).simulate_get(path, headers={"Origin": _APP})

    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == _APP
    assert answer.headers["access-control-expose-headers"] == (
        "ETag, Location, Retry-After, X-Request-Id, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, "
        "Accept-Ranges, Content-Disposition, Content-Range"
    )
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", ["https://evil.example", f"{_APP}.evil.example", "http://app.example", "null", "*"])
def test_another_origin_gets_no_permission(new_client: NewClient, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    client = new_client(cors_origins=(_APP,))

    for answer in (
        client.simulate_options("/v1/users", headers=headers),
        client.simulate_get("/healthz", headers=headers),
    ):
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]
