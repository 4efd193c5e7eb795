"""Groups of errors: the text of an error without what differs between two of one cause."""

from moneyflow.platform.telemetry.fingerprints import without_values

_LONGEST = 200


def error_group(message: str) -> str:
    """Return the message without what differs from one failure to the next, so that one cause is counted together."""
    return without_values(message)[:_LONGEST]
