"""The settings of the audit log: the key that signs checkpoints."""

from typing import Annotated

from pydantic import AfterValidator, SecretStr

from moneyflow.platform.settings import CHANGE_ME, Section


def _with_a_key(given: SecretStr) -> SecretStr:
    """Check that there is one."""
    if not _parts(given):
        raise ValueError("no key is set, by which the checkpoints of the audit log are signed; give a random one")
    return given


def _parts(given: SecretStr) -> tuple[bytes, ...]:
    return tuple(part.strip().encode() for part in given.get_secret_value().split(",") if part.strip())


class AuditCheckpointSettings(Section):
    """Checkpoints: the key that signs them, which neither the audit role nor the sink has."""

    #: Two, separated by a comma, once it was changed: the first signs, and both verify.
    audit_checkpoint_key: Annotated[SecretStr, AfterValidator(_with_a_key)] = SecretStr(CHANGE_ME)

    @property
    def checkpoint_keys(self) -> tuple[bytes, ...]:
        """The keys: the first signs, and every one verifies."""
        return _parts(self.audit_checkpoint_key)
