"""Settings: a process loads its own alone; all problems are reported at once; secrets stay secret."""

import base64
import os
import random
import re
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from moneyflow.gateways.mail.settings import MailSettings
from moneyflow.gateways.storage.settings import StorageSettings
from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.settings import Section, known_names
from moneyflow.platform.settings.strength import weakness
from moneyflow.settings import (
    AllSettings,
    AnalyticsSettings,
    ApiSettings,
    AuditCheckpointCommandSettings,
    AuditReadSettings,
    AuditVerifySettings,
    CliSettings,
    ConsumerSettings,
    CrmConsumerSettings,
    MigrateSettings,
    RelaySettings,
    WorkerSettings,
    load,
    load_all,
)
from ops.dev.stack.home import CHECKOUT

_KEY = "a secret key of more than 32 characters"
_FIELDS = AllSettings.with_logins().model_fields
_STRONG = ("k9#Vx2!mQ7pLw4", "Zr8^tB5&nJ1yHs6", "dG3*cF0(uWe_Xa")
_SECRETS = sorted(name.upper() for name, field in _FIELDS.items() if field.annotation is SecretStr)


def _problems(environment: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_all(environment)
    return caught.value.detail


def _from_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, **environment: str) -> AllSettings:
    """Load from a `.env` with this text, overridden by the given environment."""
    file = tmp_path / ".env"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(os, "environ", environment)
    return load_all(dotenv=file)


def test_every_problem_is_reported_at_once_and_names_its_variable() -> None:
    reported = _problems({"APP_PORT": "none", "WORKER_THREADS": "0", "BUILD_ENV": "test"})

    lines = reported.splitlines()
    for name in ("APP_PORT", "WORKER_THREADS", "BUILD_ENV", "SECRET_KEY"):
        assert sum(name in line for line in lines) == 1, f"{name} in:\n{reported}"


def test_a_missing_setting_is_reported_with_what_to_do() -> None:
    assert "SECRET_KEY is not set; add it to the environment or to .env" in _problems({})


def test_a_name_that_is_nearly_right_is_answered_with_did_you_mean() -> None:
    reported = _problems({"SECRET_KEY": _KEY, "POSTGRES_PASWORD": "x"})

    assert "POSTGRES_PASWORD is unknown; did you mean POSTGRES_PASSWORD?" in reported


def test_foreign_names_in_the_environment_are_left_alone() -> None:
    settings = load_all({"SECRET_KEY": _KEY, "PATH": "/bin", "LC_ALL": "C", "POSTGRES_VERSION": "17"})

    assert settings.postgres_host == "localhost"


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"FLUX_CAPACITOR in \.env is unknown") as caught:
        _from_file(tmp_path, monkeypatch, f"SECRET_KEY={_KEY}\nFLUX_CAPACITOR=1\nMAIL_HOTS=x\n")

    assert "MAIL_HOTS is unknown; did you mean MAIL_HOST?" in caught.value.detail


def test_names_that_only_compose_reads_are_allowed_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _from_file(tmp_path, monkeypatch, f"SECRET_KEY={_KEY}\nPOSTGRES_IP=10.0.0.2\nMAIL_HOST=mail\n")

    assert settings.mail_host == "mail"


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"SECRET_KEY={_KEY}\nMAIL_HOST=file\nREDIS_HOST=file\n"

    settings = _from_file(tmp_path, monkeypatch, text, MAIL_HOST="environment")

    assert (settings.mail_host, settings.redis_host) == ("environment", "file")


@pytest.mark.parametrize("name", _SECRETS)
def test_a_secret_is_in_no_text_of_the_settings(name: str) -> None:
    value = f"whsec_{base64.b64encode(b'hunter22' * 4).decode()}"  # The form of the one secret that has a form.

    settings = load_all({"SECRET_KEY": _KEY, name: value})

    assert value not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_a_refused_secret_is_not_in_the_error() -> None:
    assert "hunter22" not in _problems({"SECRET_KEY": "hunter22"})


def test_production_names_every_default_secret_and_refuses_them_all() -> None:
    reported = _problems({"SECRET_KEY": _KEY, "BUILD_ENV": "prod"})

    for name in ("POSTGRES_PASSWORD", "POSTGRES_OWNER_PASSWORD", "RABBITMQ_PASSWORD", "KAFKA_AUDIT_PASSWORD"):
        assert name in reported
    assert "MAIL_PASSWORD" not in reported, "a mail server without a login is no default"


def test_production_takes_secrets_of_its_own() -> None:
    settings = load_all(_production(), whole=True)

    assert settings.build_env == "prod"


def _production(**changed: str) -> dict[str, str]:
    """Return settings that production takes, but for the changed ones."""
    secrets = {name: f"{number}{''.join(_STRONG)}" for number, name in enumerate(_SECRETS)}
    secrets["CRM_WEBHOOK_SECRET"] = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
    return {**secrets, "BUILD_ENV": "prod", "APP_URL": "https://money-flow.example", **changed}


def _production_problems(kind: type[Section] = AllSettings, *, whole: bool = True, **changed: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(kind, _production(**changed), whole=whole)
    return caught.value.problems


@pytest.mark.parametrize(
    "weak",
    [
        "short", "a1B2c3D4e5F6g7H", "aaaaaaaaaaaaaaaaaaaaaaaa", "abcabcabcabcabcabcabcabc", "passwordpassword",
        "P@ssw0rdP@ssw0rd", "12345678901234567890", "qwertyuiopasdfghjkl", "abcdefghijklmnopqrst", "postgres-password",
        "Summer2024Summer2024", "money-flow-secret-key", "admin-admin-admin-1", "zyxwvutsrqponmlkjihg",
    ],
)  # fmt: skip
def test_production_refuses_a_secret_that_is_short_or_easy_to_guess(weak: str) -> None:
    (problem,) = _production_problems(POSTGRES_PASSWORD=weak)

    assert problem.startswith("POSTGRES_PASSWORD ")
    assert problem.endswith("which BUILD_ENV=prod refuses; set a random one (openssl rand -hex 24)")
    assert weak not in problem


@pytest.mark.parametrize(
    "address",
    [
        "",
        "storage/app",
        "file:",
        "file:///",
        "file://host/files",
        "s3:bucket",
        "s3://",
        "s3://bucket?x=1",
        "ftp://host/a",
    ],
)
def test_a_storage_that_is_no_folder_and_no_bucket_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"STORAGE_URL: .* give one such as file:storage/app"):
        load(StorageSettings, {"STORAGE_URL": address})


@pytest.mark.parametrize(
    ("address", "folder", "bucket"),
    [
        ("file:storage/app", Path("storage/app"), None),
        ("file:/srv/files", Path("/srv/files"), None),
        ("file:///srv/files", Path("/srv/files"), None),
        ("s3://bucket", None, ("bucket", "")),
        ("s3://bucket/a/b/", None, ("bucket", "a/b")),
    ],
)
def test_a_storage_is_a_folder_or_a_part_of_a_bucket(
    address: str, folder: Path | None, bucket: tuple[str, str] | None
) -> None:
    settings = load(StorageSettings, {"STORAGE_URL": address})

    assert settings.storage_folder == folder
    assert bucket is None or settings.storage_bucket == bucket


def test_production_sends_no_file_in_clear_text() -> None:
    problems = _production_problems(WorkerSettings, whole=False, S3_ENDPOINT_URL="http://minio:9000")

    assert problems == ("S3_ENDPOINT_URL must begin with https://, or files are sent in clear text",)


def test_production_takes_every_random_secret() -> None:
    dice = random.Random(1)
    makers: tuple[Callable[[], str], ...] = (
        lambda: dice.randbytes(16).hex(),
        lambda: base64.urlsafe_b64encode(dice.randbytes(18)).decode(),
        lambda: "".join(dice.choices(string.ascii_letters + string.digits, k=20)),
        lambda: " ".join("".join(dice.choices(string.ascii_lowercase, k=5)) for _ in range(5)),
    )

    refused = [secret for _ in range(500) for make in makers if weakness(secret := make())]

    assert refused == []


@pytest.mark.parametrize("kind", [AuditVerifySettings, CliSettings, WorkerSettings, MigrateSettings, RelaySettings])
def test_a_process_in_production_refuses_each_weak_secret_of_its_own(kind: type[Section]) -> None:
    own = {name.upper() for name, field in kind.with_logins().model_fields.items() if field.annotation is SecretStr}
    own -= {"MAIL_PASSWORD", "STRIPE_API_KEY", "S3_SECRET_ACCESS_KEY"}  # Their providers give them.
    weak: dict[str, Any] = dict.fromkeys(own, "passwordpasswordpasswordpassword")

    problems = _production_problems(kind, whole=False, **weak)

    assert {problem.split()[0] for problem in problems} == own


def test_production_refuses_links_by_http_and_a_mail_login_without_tls() -> None:
    problems = _production_problems(APP_URL="http://money-flow.example", MAIL_USERNAME="me", MAIL_ENCRYPTION="none")

    assert [problem.split()[0] for problem in problems] == ["APP_URL", "MAIL_ENCRYPTION"]
    assert "set its https address" in problems[0]
    assert "set starttls" in problems[1]


def test_production_takes_a_mail_server_without_a_login_and_one_with_a_short_password_by_tls() -> None:
    assert load_all(_production(MAIL_USERNAME="", MAIL_PASSWORD="", MAIL_ENCRYPTION="none"), whole=True)
    assert load_all(_production(MAIL_USERNAME="me", MAIL_PASSWORD="short", MAIL_ENCRYPTION="tls"), whole=True)


def test_equal_secrets_are_found_where_the_whole_file_is_seen() -> None:
    same = "".join(_STRONG)
    equal: dict[str, Any] = {"POSTGRES_RELAY_PASSWORD": same, "REDIS_PASSWORD": same, "GRAFANA_PASSWORD": same}

    (problem,) = _production_problems(MigrateSettings, **equal)

    assert problem.startswith("GRAFANA_PASSWORD, POSTGRES_RELAY_PASSWORD, REDIS_PASSWORD are equal")
    assert "set a random one for each" in problem
    assert same not in problem
    assert load(MigrateSettings, _production(**equal))


def test_a_command_that_sees_the_whole_file_checks_the_secrets_and_rules_of_every_process() -> None:
    problems = _production_problems(
        MigrateSettings,
        APP_URL="http://x",
        PGADMIN_DEFAULT_PASSWORD="change-me",
        REDIS_PASSWORD="redis",
        SECRET_KEY="a" * 40,
    )

    assert sorted(problem.split()[0].rstrip(":") for problem in problems) == [
        "APP_URL", "PGADMIN_DEFAULT_PASSWORD", "REDIS_PASSWORD", "SECRET_KEY",
    ]  # fmt: skip


def test_the_example_in_production_has_every_problem_at_once_each_with_its_name(tmp_path: Path) -> None:
    example = (CHECKOUT / ".env.example").read_text(encoding="utf-8")
    file = tmp_path / ".env"
    example = example.replace("APP_URL=https", "APP_URL=http")
    file.write_text(example.replace("BUILD_ENV=dev", "BUILD_ENV=prod"), encoding="utf-8")
    defaults = set(re.findall(r"^(\w+)=change-me", example, re.MULTILINE))

    with pytest.raises(ConfigurationError) as caught:
        load(MigrateSettings, {}, file, whole=True)

    problems = caught.value.problems
    assert len(defaults) > 10
    assert {problem.split(":")[0] for problem in problems if "a default secret" in problem} == defaults
    assert any(problem.startswith("APP_URL") for problem in problems)


def test_development_takes_what_production_refuses() -> None:
    assert load_all({"SECRET_KEY": "a" * 32, "APP_URL": "http://localhost", "MAIL_USERNAME": "me"}, whole=True)


@pytest.mark.parametrize("role", ["app", "worker", "owner", "relay", "operator", "audit", "analytics", "crm"])
def test_each_role_connects_with_its_own_name_and_password(role: str) -> None:
    prefix = "POSTGRES" if role == "app" else f"POSTGRES_{role.upper()}"
    settings = load_all(
        {"SECRET_KEY": _KEY, f"{prefix}_USER": f"u_{role}", f"{prefix}_PASSWORD": "it's a 'quoted' one"}
    )

    conninfo = settings.conninfo(role, application_name="a test")

    assert f"user=u_{role}" in conninfo
    assert r"password='it\'s a \'quoted\' one'" in conninfo
    assert "application_name='a test'" in conninfo


def test_every_setting_is_known_by_its_name_in_capitals() -> None:
    assert {"APP_PORT", "SECRET_KEY", "KAFKA_TOPIC_PREFIX"} <= known_names()
    assert all(name.isupper() for name in known_names())


@pytest.mark.parametrize(
    ("kind", "roles", "secrets"),
    [
        (
            ApiSettings,
            (),
            {"secret_key", "postgres_password", "redis_password", "stripe_webhook_secret", "s3_secret_access_key"},
        ),
        (
            WorkerSettings,
            (),
            {
                "secret_key",
                "audit_checkpoint_key",
                "postgres_worker_password",
                "redis_password",
                "rabbitmq_worker_password",
                "mail_password",
                "stripe_api_key",
                "s3_secret_access_key",
            },
        ),
        (
            RelaySettings,
            (),
            {"postgres_relay_password", "redis_password", "rabbitmq_relay_password", "kafka_relay_password"},
        ),
        (ConsumerSettings, ("audit",), {"postgres_audit_password", "kafka_audit_password"}),
        (MigrateSettings, (), {"postgres_owner_password", "rabbitmq_migrate_password", "kafka_migrate_password"}),
        (CliSettings, (), {"postgres_operator_password", "redis_password", "rabbitmq_password"}),
        (AuditReadSettings, (), {"postgres_audit_password"}),
        (
            AuditVerifySettings,
            (),
            {"postgres_audit_password", "audit_checkpoint_key", "s3_secret_access_key"},
        ),
        (
            AuditCheckpointCommandSettings,
            (),
            {"postgres_operator_password", "audit_checkpoint_key", "s3_secret_access_key"},
        ),
        (AnalyticsSettings, (), {"postgres_analytics_password"}),
    ],
)
def test_a_process_loads_its_own_secrets_and_no_other(
    kind: type[Section], roles: tuple[str, ...], secrets: set[str]
) -> None:
    everything = dict.fromkeys(_SECRETS, "something that no other setting has, at length")

    settings = load(kind, everything, roles=roles)

    assert {name for name, value in settings if isinstance(value, SecretStr)} == secrets


def test_a_command_that_reads_the_audit_log_asks_for_no_secret_key() -> None:
    settings = load(AuditReadSettings, {"POSTGRES_AUDIT_PASSWORD": "mine"})

    assert "password=mine" in settings.conninfo("audit", application_name="test")


def test_production_refuses_a_command_the_default_secrets_that_it_loads_and_no_other() -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(AuditVerifySettings, {"BUILD_ENV": "prod"})

    assert "POSTGRES_AUDIT_PASSWORD: BUILD_ENV=prod refuses a default secret" in caught.value.detail
    assert "REDIS_PASSWORD" not in caught.value.detail


def test_a_setting_of_another_process_is_known_and_not_checked(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("WORKER_THREADS=none\nMAIL_HOST=mail\nMAIL_HOTS=mail\n", encoding="utf-8")

    with pytest.raises(ConfigurationError) as caught:
        load(AuditVerifySettings, {}, dotenv=file)

    assert [line for line in caught.value.detail.splitlines() if "MAIL" in line or "WORKER" in line] == [
        "  - MAIL_HOTS is unknown; did you mean MAIL_HOST?"
    ]


def test_a_role_that_no_code_declares_connects_with_the_login_of_its_name(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("POSTGRES_ANALYTICS_PASSWORD=mine\nPOSTGRES_CRM_USER=other\n", encoding="utf-8")

    settings = load(ConsumerSettings, {}, dotenv=file, roles=("analytics",))

    conninfo = settings.conninfo("analytics", application_name="test")
    assert "user=analytics password=mine" in conninfo


def test_a_misspelled_role_is_answered_with_did_you_mean() -> None:
    reported = _problems({"SECRET_KEY": _KEY, "POSTGRES_RELAI_PASSWORD": "x"})

    assert "POSTGRES_RELAI_PASSWORD is unknown; did you mean POSTGRES_RELAY_PASSWORD?" in reported


def test_a_misspelled_login_is_answered_with_one_of_its_own_store() -> None:
    reported = _problems({"SECRET_KEY": _KEY, "RABBITMQ_WORKR_PASSWORD": "x", "KAFKA_RELY_USER": "x"})

    assert "RABBITMQ_WORKR_PASSWORD is unknown; did you mean RABBITMQ_WORKER_PASSWORD?" in reported
    assert "KAFKA_RELY_USER is unknown; did you mean KAFKA_RELAY_USER?" in reported


@pytest.mark.parametrize("store", ["POSTGRES", "RABBITMQ", "KAFKA", "REDIS"])
def test_tls_without_a_certificate_authority_is_refused_and_names_what_to_set(store: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"

    assert "CA_FILE is not set" in _problems({"SECRET_KEY": _KEY, f"{store}_TLS": "true"})
    assert f"there is no file {missing}" in _problems(
        {"SECRET_KEY": _KEY, f"{store}_TLS": "true", "CA_FILE": str(missing)}
    )


def test_the_names_of_a_process_are_all_that_it_reads() -> None:
    names = ConsumerSettings.environment_names("audit")

    assert {"POSTGRES_HOST", "POSTGRES_AUDIT_PASSWORD", "KAFKA_AUDIT_USER", "CA_FILE", "LOG_LEVEL"} <= names
    assert not any("RELAY" in name or "RABBITMQ" in name or name == "SECRET_KEY" for name in names)


def test_a_role_that_a_process_has_not_declared_is_refused_by_name() -> None:
    settings = load(AuditVerifySettings, {})

    with pytest.raises(ConfigurationError, match="add 'relay' to the postgres_roles of AuditVerifySettings"):
        settings.conninfo("relay", application_name="test")


def test_one_section_of_the_settings_holds_no_value_of_another() -> None:
    settings = load(WorkerSettings, {"SECRET_KEY": _KEY, "MAIL_HOST": "mail"})

    mail = settings.only(MailSettings)

    assert mail.mail_host == "mail"
    assert {name for name, _ in mail} == set(MailSettings.model_fields)


def test_all_settings_have_every_declared_section() -> None:
    logins = re.compile(
        r"(POSTGRES|KAFKA)_\w+_(USER|PASSWORD)"
    )  # Those of a sink's role are known to its consumer alone.

    assert {name for name in known_names() if not logins.fullmatch(name)} <= {name.upper() for name in _FIELDS}


def test_the_origins_of_cors_are_a_list_of_exact_origins() -> None:
    given = "https://app.example.com, http://localhost:5173,http://[::1]:80"
    origins = load_all({"SECRET_KEY": _KEY, "CORS_ORIGINS": given}).cors_origins

    assert origins == ("https://app.example.com", "http://localhost:5173", "http://[::1]:80")
    assert load_all({"SECRET_KEY": _KEY, "CORS_ORIGINS": ""}).cors_origins == ()


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "app.example.com", "https://app.example.com/", "https://*.example.com", "https://App.example"],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    problems = _problems({"SECRET_KEY": _KEY, "CORS_ORIGINS": f"https://app.example.com,{origin}"})

    assert "CORS_ORIGINS" in problems
    assert f"'{origin}' is no origin" in problems


def _whsec(byte: bytes) -> str:
    return f"whsec_{base64.b64encode(byte * 32).decode()}"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"CRM_URL": "https://crm.example.com"}, "CRM_TOKEN is not set, and CRM_ADAPTER is hubspot"),
        (
            {"CRM_ADAPTER": "webhook", "CRM_URL": "https://crm.example.com"},
            "CRM_WEBHOOK_SECRET is not set, and CRM_ADAPTER is webhook",
        ),
        (
            {"CRM_ADAPTER": "webhook", "CRM_WEBHOOK_SECRET": _whsec(b"a")},
            "CRM_URL is not set, and CRM_ADAPTER is webhook",
        ),
        ({"CRM_WEBHOOK_SECRET": "whsec_short"}, "CRM_WEBHOOK_SECRET: must be whsec_ and 24 to 64 bytes in base64"),
        (
            {"CRM_WEBHOOK_SECRET": ",".join(map(_whsec, (b"a", b"b", b"c")))},
            "CRM_WEBHOOK_SECRET: has 3 secrets; give one, or two while it is rotated",
        ),
        ({"CRM_URL": "https://me:secret@crm.example.com"}, "CRM_URL: must be an address such as"),
        ({"CRM_URL": "crm.example.com"}, "CRM_URL: must be an address such as"),
        ({"CRM_ADAPTER": "salesforce"}, "CRM_ADAPTER: Input should be 'webhook' or 'hubspot'"),
    ],
)
def test_a_crm_that_lacks_something_is_a_problem_that_says_what(given: dict[str, str], problem: str) -> None:
    assert problem in _problems({"SECRET_KEY": _KEY, **given})


def test_without_an_address_and_a_token_there_is_no_crm_and_hubspot_has_an_address_of_its_own() -> None:
    nothing = load(CrmConsumerSettings, {}, roles=("crm",))
    hubspot = load(CrmConsumerSettings, {"CRM_TOKEN": "x"}, roles=("crm",))
    webhook = {"CRM_ADAPTER": "webhook", "CRM_URL": "https://crm.example.com/hook/", "CRM_WEBHOOK_SECRET": _whsec(b"a")}

    assert not nothing.has_crm
    assert (hubspot.has_crm, hubspot.crm_address) == (True, "https://api.hubapi.com")
    assert load(CrmConsumerSettings, webhook, roles=("crm",)).crm_address == "https://crm.example.com/hook"


def test_production_sends_no_person_in_clear_text() -> None:
    (problem,) = _production_problems(CRM_URL="http://crm.example.com")

    assert problem.startswith("CRM_URL must begin with https://")
