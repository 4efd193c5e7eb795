"""Mail templates: each renders, and treats its values as text."""

import html.parser

import jinja2
import pytest

import mail_templates
import moneyflow.jobs  # noqa: F401 - importing it declares the mails
from moneyflow import mails

_VALUES = {
    "name": "Zoë",
    "app_url": "https://money.example",
    "link": "https://money.example/activate#token=abc",
    "hours": "48",
    "what": "The export of all your data",
    "until": "2026-03-31",
    "amount": "12.34",
    "currency": "EUR",
    "payment_id": "019b0000-0000-7000-8000-000000000000",
}
_WITH_LINK = sorted(name for name, mail in mails.registry.items() if mail.link is not None)
_VOID = {"meta", "br", "hr", "img"}


class Reader(html.parser.HTMLParser):
    """Reads the links, the text, and whether every element that was opened is closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.elements: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("name", mail_templates.names())
def test_a_mail_renders_in_all_its_parts(name: str) -> None:
    mail = mail_templates.render(name, _VALUES)

    reader = Reader(mail.html)
    assert mail.subject
    assert "Zoë" in mail.text
    assert "Zoë" in reader.text
    assert mail.subject in reader.text, "the title says what the subject says"
    assert reader.open == []
    assert _VALUES["app_url"] in mail.text
    assert _VALUES["app_url"] in reader.links
    assert "<" not in mail.text
    assert "{" not in mail.text + mail.subject


@pytest.mark.parametrize("name", _WITH_LINK)
def test_a_mail_with_a_token_has_its_link_in_both_texts(name: str) -> None:
    mail = mail_templates.render(name, _VALUES)

    assert _VALUES["link"] in mail.text
    assert _VALUES["link"] in Reader(mail.html).links
    assert all("within 48 hours" in text for text in (mail.text, mail.html)), "it says how long the link is valid"


@pytest.mark.parametrize("name", mail_templates.names())
def test_a_missing_value_is_an_error(name: str) -> None:
    with pytest.raises(jinja2.UndefinedError):
        mail_templates.render(name, {"app_url": "https://money.example"})


def test_a_template_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(jinja2.TemplateNotFound):
        mail_templates.render("../pyproject", _VALUES)


@pytest.mark.parametrize("name", mail_templates.names())
def test_markup_in_a_name_stays_text(name: str) -> None:
    evil = '<script>alert("1")</script><img src=x>&amp;'

    mail = mail_templates.render(name, _VALUES | {"name": evil})

    reader = Reader(mail.html)
    assert reader.elements.isdisjoint({"script", "img"})
    assert evil in reader.text
    assert evil in mail.text, "the plain text shows it as it is"


@pytest.mark.parametrize("name", mail_templates.names())
def test_template_language_in_a_name_stays_text(name: str) -> None:
    mail = mail_templates.render(name, _VALUES | {"name": "{{ 7 * 7 }}{% raise %}"})

    assert "{{ 7 * 7 }}{% raise %}" in mail.text


def test_a_line_break_in_a_name_does_not_reach_the_subject() -> None:
    mail = mail_templates.render("welcome", _VALUES | {"name": "Zoë\r\nBcc: all@example.com\u2028x\x0by"})

    assert mail.subject == "Welcome to Money Flow, Zoë Bcc: all@example.com x y"
