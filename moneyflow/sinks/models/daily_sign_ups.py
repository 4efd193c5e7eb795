"""Tables of the sink `daily_sign_ups`."""

from datetime import date

from sqlmodel import Field, Index, SQLModel, Text

from moneyflow.platform.events.models import positions_table

_SCHEMA = "daily_sign_ups"


class SignUp(SQLModel, table=True):
    """A sign-up, by the id of its event, and its day in UTC; the view `days` counts them."""

    __tablename__ = "sign_ups"
    __table_args__ = (Index("sign_ups_day_idx", "day"), {"schema": _SCHEMA})

    event_id: str = Field(primary_key=True, sa_type=Text)
    day: date


positions_table(_SCHEMA)
