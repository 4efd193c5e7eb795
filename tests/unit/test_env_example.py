"""`.env.example` is complete, and works as it is for development."""

import re
from pathlib import Path

from dotenv import dotenv_values

from moneyflow.platform.settings import COMPOSE_ONLY
from moneyflow.settings import AllSettings, load_all

_FILE = Path(__file__).parents[2] / ".env.example"
_FIELDS = AllSettings.with_logins().model_fields
_DEFAULTS_THAT_DIFFER = {"app_url", "mail_host", "mail_port", "crm_url", "crm_token"}


def test_it_lists_every_setting_and_no_other() -> None:
    listed = set(dotenv_values(_FILE))

    assert listed == {name.upper() for name in _FIELDS} | COMPOSE_ONLY


def test_every_setting_has_a_comment_on_it_or_on_its_group() -> None:
    blocks = re.split(r"\n\s*\n", _FILE.read_text(encoding="utf-8"))

    assert all(block.lstrip().startswith("#") for block in blocks if block.strip())


def test_it_is_valid_as_it_is_for_development() -> None:
    values = {name: value or "" for name, value in dotenv_values(_FILE).items()}

    loaded = load_all(values)

    assert loaded.build_env == "dev"


def test_its_values_are_the_defaults() -> None:
    values = {name: value or "" for name, value in dotenv_values(_FILE).items()}
    loaded = load_all(values)

    different = {
        name
        for name, field in _FIELDS.items()
        if not field.is_required() and getattr(loaded, name) != field.default and name not in _DEFAULTS_THAT_DIFFER
    }

    assert different == set()
