"""New passwords: long enough, and none of those that attackers try first."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

from moneyflow.platform.errors import InvalidInputError

#: NIST SP 800-63B: at least 8 characters, long passphrases welcome, no rules of composition.
SHORTEST, LONGEST = 8, 256


def check_new_password(password: str) -> None:
    """Refuse a password that attackers guess, in whatever case its letters are.

    Raises:
        InvalidInputError: it is too short, too long, or one of the most used passwords of known breaches; `errors`
            names the field `password` and what to do.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        problem = f"must have {SHORTEST} to {LONGEST} characters; choose several words that you remember"
    elif password.lower() in known_passwords():
        problem = "is among the most used passwords, which attackers try first; choose several words that you remember"
    else:
        return
    raise InvalidInputError(f"the password was not set: it {problem}", (("/password", problem),))


@cache
def known_passwords() -> frozenset[str]:
    """Return the most used passwords of known breaches, in lower case; the first call takes a tenth of a second.

    PERF: the file of the lists is run by itself and then dropped: its package keeps 11 MB in every process, this 4.
    """
    package = find_spec("zxcvbn")
    assert package
    lists = run_path(str(Path(package.origin or "").with_name("frequency_lists.py")))["FREQUENCY_LISTS"]
    return frozenset(word for word in lists["passwords"] if len(word) >= SHORTEST)
