"""The base of settings sections, the registry of their names, and the logins of Postgres roles."""

from typing import Any, ClassVar, Self, TypeVar

from pydantic import SecretStr, create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

#: The beginning of every default secret; BUILD_ENV=prod refuses it.
CHANGE_ME = "change-me"

#: The environment names of all sections and Postgres roles that are declared; filled as they are imported.
_names: set[str] = set()


class Section(BaseSettings):
    """The base of every section: a frozen model whose fields are environment names in lower case."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    #: Postgres roles whose login is part of the settings: POSTGRES_<ROLE>_USER and POSTGRES_<ROLE>_PASSWORD.
    postgres_roles: ClassVar[tuple[str, ...]] = ()
    #: Postgres roles of which the settings hold the user alone, such as those that migrations grant rights to.
    postgres_grantees: ClassVar[tuple[str, ...]] = ()
    #: Secrets that may be empty, such as the password of a mail server that asks for no login.
    optional_secrets: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Register the section's names."""
        _names.update(name.upper() for name in (*cls.model_fields, *_login_fields(cls)))

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
        """Return this class with a field for each login of its Postgres roles, and of those that are given."""
        fields = _login_fields(cls, roles)
        return create_model(cls.__name__, __base__=cls, __module__=cls.__module__, **fields) if fields else cls


SectionT = TypeVar("SectionT", bound=Section)


def known_names() -> frozenset[str]:
    """Return the environment names of all declared sections."""
    return frozenset(_names)


def user_field(role: str) -> str:
    """Return the field that holds the user of a Postgres role; the application's own has no infix."""
    return "postgres_user" if role == "app" else f"postgres_{role}_user"


def password_field(role: str) -> str:
    """Return the field that holds the password of a Postgres role."""
    return user_field(role).removesuffix("user") + "password"


def _login_fields(section: type[Section], roles: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of the roles' logins as `create_model` takes them; the default user is named as its role."""
    with_password = (*section.postgres_roles, *roles)
    fields: dict[str, Any] = {user_field(role): (str, role) for role in (*with_password, *section.postgres_grantees)}
    return fields | {password_field(role): (SecretStr, SecretStr(CHANGE_ME)) for role in with_password}
