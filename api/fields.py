"""Fields of bodies that several resources share: ids, days, amounts, currencies, colours and texts."""

import datetime as dt
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field

from moneyflow.money.amounts import AMOUNT_FORM, LONGEST_AMOUNT, amount_text
from moneyflow.money.currencies import DECIMALS, decimals_of
from moneyflow.money.days import read_day
from moneyflow.money.texts import (
    LONGEST_NAME,
    LONGEST_NOTE,
    LONGEST_TAG,
    MOST_TAGS,
    note_text,
    one_line,
    unique_tags,
)
from moneyflow.platform.ids import parse_id


def _id(text: object) -> object:
    parsed = parse_id(text) if isinstance(text, str) else None
    if parsed is None:
        raise ValueError("must be a UUID in its canonical form")
    return parsed


def _currency(text: str) -> str:
    decimals_of(text)
    return text


Id = Annotated[UUID, BeforeValidator(_id)]
Kind = Literal["income", "expense"]
Amount = Annotated[
    str,
    Field(
        description="A decimal number as text, above zero, with as many decimals as the currency has at most.",
        max_length=LONGEST_AMOUNT,
        examples=["12.34"],
        json_schema_extra={"pattern": f"^(?=.*[1-9]){AMOUNT_FORM}$"},
    ),
    AfterValidator(amount_text),
]
Currency = Annotated[
    str,
    Field(
        description="A currency of ISO 4217, or one that was withdrawn.",
        examples=["EUR"],
        json_schema_extra={"enum": sorted(DECIMALS)},
    ),
    AfterValidator(_currency),
]
Day = Annotated[dt.date, BeforeValidator(read_day), Field(description="From 1900-01-01 to 2199-12-31.")]
Note = Annotated[
    str,
    Field(
        max_length=LONGEST_NOTE,
        examples=["two loaves"],
        json_schema_extra={"pattern": r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]*$"},
    ),
    AfterValidator(note_text),
]
_LINE = {"pattern": r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"}
Tag = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_TAG, examples=["bakery"], json_schema_extra=_LINE),
    AfterValidator(one_line),
]
Tags = Annotated[
    tuple[Tag, ...],
    Field(max_length=MOST_TAGS, strict=False, examples=[["bakery"]], json_schema_extra={"uniqueItems": True}),
    AfterValidator(unique_tags),
]
CategoryName = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_NAME, examples=["Groceries"], json_schema_extra=_LINE),
    AfterValidator(one_line),
]
Color = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$", examples=["#2a9d8f"])]
