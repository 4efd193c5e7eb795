"""The mails: each is there, renders, and takes nothing that was put into it for its own words."""

import html.parser

import jinja2
import pytest

import mail_templates
from moneyflow.accounts import mails
from moneyflow.jobs import send_email

_VALUES = {"name": "Zoë", "app_url": "https://money.example", "link": "https://money.example/activate#token=abc"}
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


def test_the_mails_that_somebody_waits_for_and_those_with_a_link_are_there() -> None:
    assert set(mail_templates.names()) >= send_email._URGENT
    assert mails._TOKEN_PATHS.keys() <= set(mail_templates.names())


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


@pytest.mark.parametrize("name", sorted(mails._TOKEN_PATHS))
def test_a_mail_with_a_token_has_its_link_in_both_texts(name: str) -> None:
    mail = mail_templates.render(name, _VALUES)

    assert _VALUES["link"] in mail.text
    assert _VALUES["link"] in Reader(mail.html).links


@pytest.mark.parametrize("name", mail_templates.names())
def test_a_value_that_is_missing_is_an_error_and_no_gap(name: str) -> None:
    with pytest.raises(jinja2.UndefinedError):
        mail_templates.render(name, {"app_url": "https://money.example"})


def test_a_mail_that_does_not_exist_is_an_error() -> None:
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
