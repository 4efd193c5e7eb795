"""Mail templates: `base` and one file per mail, each with a subject, a text and an HTML block."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class RenderedMail:
    """A mail's texts; the subject is always one line."""

    subject: str
    text: str
    html: str


def _environment(*, autoescape: bool) -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=autoescape,  # nosec B701  # noqa: S701 - plain texts need no escaping, HTML gets it
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


_PLAIN = _environment(autoescape=False)
_HTML = _environment(autoescape=True)


def names() -> list[str]:
    """Return the names of all templates."""
    return sorted(path.stem for path in _FOLDER.glob("*.jinja") if path.stem != "base")


def render(name: str, values: Mapping[str, Any]) -> RenderedMail:
    """Render a mail.

    Raises:
        jinja2.TemplateNotFound: there is no such template.
        jinja2.UndefinedError: the template uses a value that is missing.
    """
    plain, html = _PLAIN.get_template(f"{name}.jinja"), _HTML.get_template(f"{name}.jinja")
    return RenderedMail(
        subject=" ".join(plain.render(values, part="subject").split()),
        text=plain.render(values, part="text").strip() + "\n",
        html=html.render(values, part="html").strip() + "\n",
    )
