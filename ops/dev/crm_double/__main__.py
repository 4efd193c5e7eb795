"""`python -m ops.dev.crm_double PORT FILE [HOST]`: serve the double until SIGTERM; its contacts are in FILE.

CRM_TOKEN and CRM_WEBHOOK_SECRET are the token and the secrets that its clients have.
"""

import signal
import sys
from pathlib import Path

from moneyflow.gateways.crm.settings import CrmSettings
from moneyflow.settings import load
from ops.dev.crm_double.server import Double, serve
from ops.dev.crm_double.store import Store


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    if len(sys.argv) not in {3, 4}:
        print("usage: python -m ops.dev.crm_double PORT FILE [HOST]", file=sys.stderr)
        return 2
    settings = load(CrmSettings)
    double = Double(
        store=Store(Path(sys.argv[2])),
        token=settings.crm_token.get_secret_value(),
        secrets=settings.webhook_signing_secrets,
    )
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    server = serve(double, host=sys.argv[3] if sys.argv[3:] else "127.0.0.1", port=int(sys.argv[1]))
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    double.stopping.set()
    server.shutdown()
    server.server_close()
    double.store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
