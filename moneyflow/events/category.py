"""Events about categories on `category.events`, those of each category in the order of its changes.

They carry no free text: a name is named in `changed`, and its value is in the row.
"""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from moneyflow.events.topics import CATEGORY_EVENTS
from moneyflow.platform.events.contract import Event


class CategoryState(BaseModel):
    """What an update may change, as it was before or is after it; `color` has the form #rrggbb."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["income", "expense"]
    parent_id: UUID | None
    color: str | None


class CategoryCreated(Event, type="category.created", topic=CATEGORY_EVENTS, subject="category_id", key="user_id"):
    """A category was added."""

    user_id: UUID
    category_id: UUID
    kind: Literal["income", "expense"]
    parent_id: UUID | None
    color: str | None


class CategoryUpdated(Event, type="category.updated", topic=CATEGORY_EVENTS, subject="category_id", key="user_id"):
    """Fields of a category changed: those in `changed`."""

    user_id: UUID
    category_id: UUID
    before: CategoryState
    after: CategoryState
    changed: tuple[str, ...]


class CategoryDeleted(Event, type="category.deleted", topic=CATEGORY_EVENTS, subject="category_id", key="user_id"):
    """A category was deleted; it had these values."""

    user_id: UUID
    category_id: UUID
    kind: Literal["income", "expense"]
    parent_id: UUID | None
    color: str | None
