"""Redis: one user with access to the application's keys and channels only, without dangerous commands."""

from collections.abc import Sequence

import redis

from ops.dev.stack.home import CHECKOUT, write_private
from ops.dev.stack.servers.base import Server

_USER = "app"
_ACL = CHECKOUT / "ops" / "docker" / "redis" / "users.acl.template"


class Redis(Server):
    """A Redis that keeps an append-only file."""

    name = "redis"

    def command(self) -> Sequence[str]:
        """Run with the ACL file that `prepare` writes."""
        return [
            "redis-server", "--bind", "127.0.0.1", "--port", str(self.port()), "--dir", str(self.folder),
            "--aclfile", str(self.folder / "users.acl"), "--appendonly", "yes",
        ]  # fmt: skip

    def prepare(self) -> None:
        """Write the ACL."""
        rules = _ACL.read_text(encoding="utf-8")
        rules = rules.replace("@USER@", _USER).replace("@PASSWORD@", f">{self.state.secret('redis')}")
        write_private(self.folder / "users.acl", rules)

    def is_ready(self) -> bool:
        """Return whether a ping by the ACL's user succeeds."""
        client = redis.Redis(port=self.port(), username=_USER, password=self.state.secret("redis"), socket_timeout=2)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()

    def settings(self) -> dict[str, str]:
        """Return address and login."""
        return {
            "REDIS_HOST": "127.0.0.1",
            "REDIS_PORT": str(self.port()),
            "REDIS_USER": _USER,
            "REDIS_PASSWORD": self.state.secret("redis"),
            "REDIS_DB": "0",
        }
