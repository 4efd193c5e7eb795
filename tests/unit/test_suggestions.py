"""Suggestions for misspelt names."""

from moneyflow.platform.suggestions import did_you_mean, nearest

_KNOWN = ("send_email", "send_welcome", "purge")


def test_the_most_similar_known_name_is_suggested() -> None:
    assert nearest("send_emial", _KNOWN) == "send_email"
    assert did_you_mean("purg", _KNOWN, otherwise="see the list") == "did you mean purge?"


def test_without_a_similar_name_the_other_advice_is_given() -> None:
    assert nearest("zzz", _KNOWN) is None
    assert did_you_mean("zzz", _KNOWN, otherwise="see the list") == "see the list"


def test_a_higher_cutoff_asks_for_more_likeness() -> None:
    assert nearest("sand_mail", _KNOWN) == "send_email"
    assert nearest("sand_mail", _KNOWN, cutoff=0.9) is None
