"""Query parameters: each there once, validated by a model; a name that the model does not have is refused."""

from typing import Annotated, Any, TypeVar

import falcon
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from api.bodies import refusal
from moneyflow.money.amounts import AMOUNT_FORM, LONGEST_AMOUNT
from moneyflow.platform.http.pages import DEFAULT_LIMIT, MAX_LIMIT

Q = TypeVar("Q")

#: Those of every list; `page_of` reads them.
PAGE = {
    "limit": Annotated[int, Field(ge=1, le=MAX_LIMIT, description=f"Rows of the page; {DEFAULT_LIMIT} without it.")],
    "cursor": Annotated[str, Field(max_length=1024, description="`next_cursor` of the page before.")],
}
#: An end of a range of amounts.
AmountBound = Annotated[str, Field(pattern=f"^{AMOUNT_FORM}$", max_length=LONGEST_AMOUNT, examples=["12.34"])]


def query_model(parameters: type[Q]) -> TypeAdapter[Q]:
    """Return the model of a `TypedDict` of parameters; other names are refused."""
    with_config(ConfigDict(extra="forbid"))(parameters)
    return TypeAdapter(parameters)


class _NoParameters(TypedDict):
    pass


#: Of a list without filters.
NO_FILTERS = query_model(_NoParameters)


def query_of(request: falcon.Request, model: TypeAdapter[Q]) -> Q:
    """Return the query parameters but for those of the page.

    Raises:
        InvalidInputError: they do not fit the model; `errors` names each by its pointer.
    """
    repeated = [name for name, value in request.params.items() if isinstance(value, list)]
    if repeated:
        raise refusal("the query", [((name,), "must be there once") for name in repeated])
    given: dict[str, Any] = {name: value for name, value in request.params.items() if name not in PAGE}
    try:
        return model.validate_python(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise refusal("the query", [(one["loc"][:1], one["msg"]) for one in found]) from None
