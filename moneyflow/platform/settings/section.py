"""The base of settings sections, the registry of their names, hosts, and the logins of Postgres, RabbitMQ and Kafka."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast

from pydantic import AfterValidator, SecretStr, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

#: The beginning of every default secret; BUILD_ENV=prod refuses it.
CHANGE_ME = "change-me"

#: A name or an address, of version 4 or 6; brackets around version 6 may be given and are removed.
Host = Annotated[str, AfterValidator(lambda given: given[1:-1] if given[:1] + given[-1:] == "[]" else given)]

#: The environment names of all sections and logins that are declared; filled as they are imported.
_names: set[str] = set()
#: Those of them that are secrets, and those that another system gives.
_secrets: set[str] = set()
_given_by_others: set[str] = set()
_sections: list[type["Section"]] = []
#: The login of each store whose names have no infix, such as POSTGRES_USER and RABBITMQ_USER.
_PLAIN_LOGINS = {"postgres": "app", "rabbitmq": "operator"}


class Section(BaseSettings):
    """The base of every section: a frozen model whose fields are environment names in lower case."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    #: Postgres roles whose login is part of the settings: POSTGRES_<ROLE>_USER and POSTGRES_<ROLE>_PASSWORD.
    postgres_roles: ClassVar[tuple[str, ...]] = ()
    #: Postgres roles of which the settings hold the user alone, such as those that migrations grant rights to.
    postgres_grantees: ClassVar[tuple[str, ...]] = ()
    #: Users of RabbitMQ and of Kafka whose login is part of the settings: RABBITMQ_<LOGIN>_USER, KAFKA_<LOGIN>_USER.
    rabbitmq_logins: ClassVar[tuple[str, ...]] = ()
    kafka_logins: ClassVar[tuple[str, ...]] = ()
    #: Users of Kafka of which the settings hold the name alone: the migration grants them rights.
    kafka_grantees: ClassVar[tuple[str, ...]] = ()
    #: Secrets that another system gives or does not, such as the password of a mail server. They may be empty.
    optional_secrets: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Register the section and its names."""
        fields = {name: field.annotation for name, field in cls.model_fields.items()}
        fields |= {name: kind for name, (kind, _) in _login_fields(cls).items()}
        _names.update(name.upper() for name in fields)
        _secrets.update(name.upper() for name, kind in fields.items() if kind is SecretStr)
        _given_by_others.update(name.upper() for name in cls.optional_secrets)
        _sections.append(cls)

    @classmethod
    def production_problems(cls, values: Mapping[str, str]) -> list[str]:  # noqa: ARG003 - for the sections that override
        """Return what BUILD_ENV=prod refuses in these values, by field; a section with such a rule overrides this."""
        return []

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the parameters' names are those of pydantic-settings
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the values that `load` passes, and no other source."""
        return (init_settings,)

    def only(self, section: type["SectionT"]) -> "SectionT":
        """Return one section of these settings, without the values and secrets of all others."""
        return section.model_validate({name: getattr(self, name) for name in section.model_fields})

    @classmethod
    def with_logins(cls, *roles: str) -> type[Self]:
        """Return this class with a field for each login, its own and those of `roles`.

        A role is a login of Postgres, and of Kafka for a process that reads Kafka.
        """
        return cast("type[Self]", _with_logins(cls, roles))

    @classmethod
    def environment_names(cls, *roles: str) -> frozenset[str]:
        """Return the names that a process with these settings reads: all that its environment has to have."""
        return frozenset(name.upper() for name in cls.with_logins(*roles).model_fields)


SectionT = TypeVar("SectionT", bound=Section)


def host_port(host: str, port: int) -> str:
    """Return host:port as URLs and messages have it: an address of version 6 is in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def known_names() -> frozenset[str]:
    """Return the environment names of all declared sections."""
    return frozenset(_names)


def known_secrets() -> frozenset[str]:
    """Return the environment names of all declared secrets."""
    return frozenset(_secrets)


def given_by_others() -> frozenset[str]:
    """Return the environment names of secrets that another system gives."""
    return frozenset(_given_by_others)


def declared_sections() -> tuple[type[Section], ...]:
    """Return every section that is declared."""
    return tuple(_sections)


def user_field(store: str, login: str) -> str:
    """Return the field that holds the user of a login of `postgres`, `rabbitmq` or `kafka`."""
    return f"{store}_user" if _PLAIN_LOGINS.get(store) == login else f"{store}_{login}_user"


def password_field(store: str, login: str) -> str:
    """Return the field that holds the password of a login."""
    return user_field(store, login).removesuffix("user") + "password"


@cache  # PERF: pydantic takes milliseconds to make a class.
def _with_logins(section: type[Section], roles: tuple[str, ...]) -> type[Section]:
    fields = _login_fields(section, roles)
    if not fields:
        return section
    return create_model(section.__name__, __base__=section, __module__=section.__module__, **fields)


def _login_fields(section: type[Section], roles: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of the logins as `create_model` takes them; the default user is named as its login."""
    reads_kafka = "kafka_host" in section.model_fields
    logins = {
        "postgres": (*section.postgres_roles, *roles),
        "rabbitmq": section.rabbitmq_logins,
        "kafka": (*section.kafka_logins, *(roles if reads_kafka else ())),
    }
    named = logins | {
        "postgres": (*logins["postgres"], *section.postgres_grantees),
        "kafka": (*logins["kafka"], *section.kafka_grantees),
    }
    fields: dict[str, Any] = {
        user_field(store, login): (str, login) for store, of_store in named.items() for login in of_store
    }
    return fields | {
        password_field(store, login): (SecretStr, SecretStr(CHANGE_ME))
        for store, of_store in logins.items()
        for login in of_store
    }
