"""Settings: every problem at once, each naming the variable and what to do; secrets stay secret."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from moneyflow.platform import settings as settings_module
from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.settings import Settings, known_names, load

_KEY = "a secret key of more than 32 characters"
_SECRETS = sorted(name.upper() for name, field in Settings.model_fields.items() if field.annotation is SecretStr)


def _problems(environment: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(environment)
    return caught.value.detail


def _from_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, **environment: str) -> Settings:
    """Load from a `.env` with this text, over which the given environment stands."""
    file = tmp_path / ".env"
    file.write_text(text, encoding="utf-8")
    monkeypatch.setattr(settings_module.os, "environ", environment)
    return load(dotenv=file)


def test_every_problem_is_reported_at_once_and_names_its_variable() -> None:
    told = _problems({"APP_PORT": "none", "WORKER_THREADS": "0", "BUILD_ENV": "test"})

    lines = told.splitlines()
    for name in ("APP_PORT", "WORKER_THREADS", "BUILD_ENV", "SECRET_KEY"):
        assert sum(name in line for line in lines) == 1, f"{name} in:\n{told}"


def test_a_missing_setting_is_told_with_what_to_do() -> None:
    assert "SECRET_KEY is not set; add it to the environment or to .env" in _problems({})


def test_a_name_that_is_nearly_right_is_answered_with_did_you_mean() -> None:
    told = _problems({"SECRET_KEY": _KEY, "POSTGRES_PASWORD": "x"})

    assert "POSTGRES_PASWORD is unknown; did you mean POSTGRES_PASSWORD?" in told


def test_foreign_names_in_the_environment_are_left_alone() -> None:
    settings = load({"SECRET_KEY": _KEY, "PATH": "/bin", "LC_ALL": "C", "POSTGRES_VERSION": "17"})

    assert settings.postgres_host == "localhost"


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"FLUX_CAPACITOR in \.env is unknown") as caught:
        _from_file(tmp_path, monkeypatch, f"SECRET_KEY={_KEY}\nFLUX_CAPACITOR=1\nMAIL_HOTS=x\n")

    assert "MAIL_HOTS is unknown; did you mean MAIL_HOST?" in caught.value.detail


def test_names_that_only_compose_reads_are_welcome_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _from_file(tmp_path, monkeypatch, f"SECRET_KEY={_KEY}\nPOSTGRES_IP=10.0.0.2\nMAIL_HOST=mail\n")

    assert settings.mail_host == "mail"


def test_the_environment_stands_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"SECRET_KEY={_KEY}\nMAIL_HOST=file\nREDIS_HOST=file\n"

    settings = _from_file(tmp_path, monkeypatch, text, MAIL_HOST="environment")

    assert (settings.mail_host, settings.redis_host) == ("environment", "file")


@pytest.mark.parametrize("name", _SECRETS)
def test_a_secret_is_in_no_text_of_the_settings(name: str) -> None:
    value = "hunter22-hunter22-hunter22-hunter22-hunter22"

    settings = load({"SECRET_KEY": _KEY, name: value})

    assert value not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_a_refused_secret_is_not_repeated_in_the_complaint() -> None:
    assert "hunter22" not in _problems({"SECRET_KEY": "hunter22"})


def test_production_names_every_default_secret_and_refuses_them_all() -> None:
    told = _problems({"SECRET_KEY": _KEY, "BUILD_ENV": "prod"})

    for name in ("POSTGRES_PASSWORD", "POSTGRES_OWNER_PASSWORD", "RABBITMQ_PASSWORD", "REDIS_PASSWORD"):
        assert name in told
    assert "MAIL_PASSWORD" not in told, "a mail server without a login is no default"


def test_production_takes_secrets_of_its_own() -> None:
    secrets = dict.fromkeys(_SECRETS, "something that nobody else has, at length")

    settings = load({**secrets, "BUILD_ENV": "prod"})

    assert settings.build_env == "prod"


@pytest.mark.parametrize("role", ["app", "owner", "relay", "audit"])
def test_each_role_connects_with_its_own_name_and_password(role: str) -> None:
    prefix = "POSTGRES" if role == "app" else f"POSTGRES_{role.upper()}"
    settings = load({"SECRET_KEY": _KEY, f"{prefix}_USER": f"u_{role}", f"{prefix}_PASSWORD": "it's a 'quoted' one"})

    conninfo = settings.conninfo(role, application_name="a test")  # type: ignore[arg-type]

    assert f"user=u_{role}" in conninfo
    assert r"password='it\'s a \'quoted\' one'" in conninfo
    assert "application_name='a test'" in conninfo


def test_every_setting_is_known_by_its_name_in_capitals() -> None:
    assert {"APP_PORT", "SECRET_KEY", "KAFKA_TOPIC_PREFIX"} <= known_names()
    assert all(name.isupper() for name in known_names())
