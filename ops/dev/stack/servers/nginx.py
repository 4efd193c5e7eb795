"""nginx, the front door: TLS and time-outs before the API, with the configuration that its image has."""

import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dotenv import dotenv_values

from moneyflow.platform.errors import ConfigurationError
from ops.certificates import ensure_certificate
from ops.dev.stack.contract import StackError
from ops.dev.stack.home import CHECKOUT, State, is_root, write_private
from ops.dev.stack.ports import answers
from ops.dev.stack.servers.base import Server

_TEMPLATE = CHECKOUT / "ops" / "docker" / "nginx" / "nginx.conf.template"
#: Where Debian's package has the program, which not every user has on the path.
_PROGRAM = "/usr/sbin/nginx"


@dataclass(frozen=True, kw_only=True)
class ClientBounds:
    """What one client address may do; the demo and load tests of this machine are one client."""

    requests_per_second: int = 100_000
    burst: int = 100_000
    connections: int = 10_000


class Nginx(Server):
    """nginx for one API on this machine, with a certificate of the stack's own."""

    name = "nginx"
    stop_signal = signal.SIGQUIT
    #: https, and http, which leads to https.
    ports: ClassVar[tuple[str, ...]] = ("", "http")

    def __init__(
        self,
        state: State,
        bounds: ClientBounds | None = None,
        *,
        cors_origins: Sequence[str] | None = None,
        files: Path | None = None,
    ) -> None:
        super().__init__(state)
        #: The storage: the stack's own, so that it is deleted with the rows that name its files.
        self._files = files or state.home / "files"
        self._cors_origins = cors_origins
        self._bounds = bounds or ClientBounds()

    def command(self) -> Sequence[str]:
        """Run it in the foreground."""
        program = shutil.which("nginx") or _PROGRAM
        return [program, "-p", str(self.folder), "-c", str(self._configured), "-g", "daemon off;"]

    def prepare(self) -> None:
        """Make the certificate where none is, and write the configuration."""
        self._renew_certificate()
        write_private(self._configured, self._configuration())

    def start(self) -> None:
        """Start it; where it runs with another configuration or certificate, reload them without a cut connection."""
        identity = self.identity()
        if identity:
            is_renewed = self._renew_certificate()
            if is_renewed or self._configuration() != self._configured.read_text(encoding="utf-8"):
                self.prepare()
                identity.signal(signal.SIGHUP)
        super().start()

    def _renew_certificate(self) -> bool:
        try:
            return ensure_certificate(self.folder / "certificates")
        except ConfigurationError as error:
            raise StackError(str(error)) from error

    def is_ready(self) -> bool:
        """Return whether it answers."""
        return answers(self.port()) and answers(self.port("http"))

    def settings(self) -> dict[str, str]:
        """Return the address of the API for frontends, what a client needs to trust it, and where it finds files."""
        return {
            "APP_URL": f"https://127.0.0.1:{self.port()}",
            "APP_CA_FILE": str(self.folder / "certificates" / "ca.pem"),
            "HTTPS_PORT": str(self.port()),
            "HTTP_PORT": str(self.port("http")),
            "TRUSTED_PROXIES": "127.0.0.1/32",
            "STORAGE_URL": f"file:{self._files}",
        }

    def _frontends(self) -> Sequence[str]:
        """Return the origins of the frontends: those given, or those of the developer's `.env`, as the API has them."""
        if self._cors_origins is not None:
            return self._cors_origins
        given = dotenv_values(CHECKOUT / ".env").get("CORS_ORIGINS") or ""
        return [part.strip() for part in given.split(",") if part.strip()]

    @property
    def _configured(self) -> Path:
        return self.folder / "nginx.conf"

    def _configuration(self) -> str:
        certificates = self.folder / "certificates"
        values = {
            # Root's own, as all servers of a stack that root starts: its worker processes read the stack's folder.
            "USER": "user root;" if is_root() else "",
            "RUN": str(self.folder),
            "LOG": "/dev/stdout",
            "TYPES": "/etc/nginx/mime.types",
            "RESOLVER": "",
            "CERTIFICATE": str(certificates / "server.pem"),
            "KEY": str(certificates / "server.key"),
            "HTTP": f"127.0.0.1:{self.port('http')}",
            "HTTPS": f"127.0.0.1:{self.port()}",
            "LOCAL": "",
            "REPLICAS": f"127.0.0.1:{self.state.value('ports', 'api')}",
            "STORAGE": str(self._files),
            "APP_URL": self.settings()["APP_URL"],
            "CORS": " ".join(f'"{origin}" "{origin}";' for origin in sorted(set(self._frontends()))),
            "REQUESTS": str(self._bounds.requests_per_second),
            "BURST": str(self._bounds.burst),
            "CONNECTIONS": str(self._bounds.connections),
        }
        text = _TEMPLATE.read_text(encoding="utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        return text
