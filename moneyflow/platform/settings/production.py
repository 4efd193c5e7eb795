"""Rules of BUILD_ENV=prod: no default, weak or equal secrets, no plain HTTP, no password in clear text."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from moneyflow.platform.settings.section import CHANGE_ME, Section
from moneyflow.platform.settings.strength import weakness

_SET_A_RANDOM_ONE = "set a random one (openssl rand -hex 24)"


def weak_secrets(values: Mapping[str, str], *, given_by_others: Collection[str] = ()) -> list[str]:
    """Return a problem for each default or weak secret, by the names of the variables.

    A secret that another system gives, as a mail provider does, may be as weak as that system makes it.
    """
    problems = []
    for name, value in sorted(values.items()):
        if value.startswith(CHANGE_ME):
            problems.append(f"{name}: BUILD_ENV=prod refuses a default secret; {_SET_A_RANDOM_ONE}")
        elif name not in given_by_others and (weak := weakness(value)):
            problems.append(f"{name} {weak}, which BUILD_ENV=prod refuses; {_SET_A_RANDOM_ONE}")
    return problems


def equal_secrets(values: Mapping[str, str]) -> list[str]:
    """Return a problem for each secret that several variables share; a default one is a problem of its own."""
    names = defaultdict(list)
    for name, value in values.items():
        if value and not value.startswith(CHANGE_ME):
            names[value].append(name)
    return [
        f"{', '.join(sorted(shared))} are equal, so one that leaks opens the others; set a random one for each"
        for shared in sorted(names.values())
        if len(shared) > 1
    ]


def broken_rules(sections: Collection[type[Section]], values: Mapping[str, str]) -> list[str]:
    """Return the problems that the sections themselves find, each once; `values` are by the names of the fields."""
    found: dict[str, None] = {}
    for section in sections:
        defaults = {name: str(field.default) for name, field in section.model_fields.items()}
        found |= dict.fromkeys(section.production_problems({**defaults, **values}))
    return list(found)
