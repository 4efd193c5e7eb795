"""The stack on a Docker engine: `docker-compose.yml`, with free ports and random secrets."""

from ops.dev.stack.compose.engine import engine_answers
from ops.dev.stack.compose.stack import ComposeStack

__all__ = ["ComposeStack", "engine_answers"]
