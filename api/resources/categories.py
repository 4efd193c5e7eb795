"""`/v1/categories`: what the caller's transactions are grouped by."""

import datetime as dt
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

import falcon
from pydantic import Field
from typing_extensions import TypedDict

from api.answers import Accepted, accepted, send
from api.bodies import Body, parse, read_body
from api.descriptions import describes
from api.fields import CategoryName, Color, Id, Kind
from api.guards import caller_of, owner_scope, signed_in
from api.paths import id_of
from api.queries import NO_FILTERS, PAGE, query_of
from api.requests import idempotent, page_of, require_match
from moneyflow.money import categories, category_deletion
from moneyflow.money.categories import Category
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.http.answers import Answer, json_answer
from moneyflow.platform.http.etags import version_etag
from moneyflow.platform.http.idempotency import IdempotencyKeys
from moneyflow.platform.ids import parse_id

_DONE = Answer(status=HTTPStatus.NO_CONTENT)
_MOVE_TO = Annotated[
    UUID, Field(description="The category that the transactions move to; without it they have no category then.")
]


class NewCategory(Body):
    """The body of a new category."""

    kind: Kind
    name: CategoryName
    parent_id: Id | None = None
    color: Color | None = None


class CategoryChange(Body):
    """The body of a change: members that are left out stay as they are. The kind stays."""

    # A default that is never read: which members there are is in `model_fields_set`.
    name: Annotated[CategoryName, Field(default_factory=str)]
    parent_id: Annotated[Id | None, Field(default_factory=str)]
    color: Annotated[Color | None, Field(default_factory=str)]


class CategoryView(TypedDict):
    """A category as its owner sees it; `parent_id` is null at the top."""

    id: UUID
    kind: Kind
    name: Annotated[str, Field(examples=["Groceries"])]
    parent_id: UUID | None
    color: Annotated[str | None, Field(examples=["#2a9d8f"])]
    created_at: dt.datetime
    updated_at: dt.datetime


class CategoryPageView(TypedDict):
    """A page of categories; `next_cursor` is null on the last one."""

    items: list[CategoryView]
    next_cursor: str | None


class Categories:
    """The caller's categories."""

    def __init__(self, database: Database, keys: IdempotencyKeys) -> None:
        self._database = database
        self._keys = keys

    @signed_in
    @describes(
        "create_category",
        body=NewCategory,
        answers={201: CategoryView},
        idempotent=True,
        etag=True,
        headers={"Location": "The address of the category."},
        errors=(NotFoundError,),
    )
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Add a category: 201 with it.

        With `parent_id` it is a subcategory of a category at the top of the same kind.
        """
        content = read_body(request)
        body = parse(content, NewCategory)
        made = categories.make(
            caller_of(request).user_id, kind=body.kind, name=body.name, parent_id=body.parent_id, color=body.color
        )
        answer = category_answer(made, status=HTTPStatus.CREATED)
        once = idempotent(request, self._keys, content)
        with self._database.autocommit() as session:
            answer = categories.create(session, made, once=once, answer=answer)
        send(request, response, answer)

    @signed_in
    @describes("list_categories", answers={200: CategoryPageView}, parameters=PAGE, errors=(InvalidInputError,))
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the categories in the order of their creation."""
        query_of(request, NO_FILTERS)
        page = page_of(request, categories.BY_ID)
        with self._database.autocommit() as session:
            rows = categories.page_rows(owner_scope(request, session), page)
        send(request, response, json_answer(page.of(rows, lambda row: category_view(categories.of_row(row)))))


class OneCategory:
    """A category of the caller."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @signed_in
    @describes("read_category", answers={200: CategoryView}, etag=True)
    def on_get(self, request: falcon.Request, response: falcon.Response, category_id: str) -> None:
        """Return the category, with the `ETag` for a change."""
        parsed = _id_of(category_id)
        with self._database.autocommit() as session:
            found = categories.find(owner_scope(request, session), parsed)
        send(request, response, category_answer(found))

    @signed_in
    @describes("change_category", body=CategoryChange, answers={200: CategoryView}, etag=True, if_match=True)
    def on_patch(self, request: falcon.Request, response: falcon.Response, category_id: str) -> None:
        """Change the category that `If-Match` names; return the new one."""
        parsed = _id_of(category_id)
        body = parse(read_body(request), CategoryChange)
        values = {name: getattr(body, name) for name in body.model_fields_set}
        with self._database.transaction() as session:
            current = categories.lock(owner_scope(request, session), parsed, also=values.get("parent_id"))
            require_match(request, etag_of(current))
            changed = categories.change(session, current, values)
        send(request, response, category_answer(changed))

    @signed_in
    @describes(
        "delete_category",
        answers={204: None, 202: Accepted},
        parameters={"move_to": _MOVE_TO},
        if_match=True,
    )
    def on_delete(self, request: falcon.Request, response: falcon.Response, category_id: str) -> None:
        """Delete the category that `If-Match` names with its subcategories: 204.

        Their transactions move to the category `move_to`, or have none then. Where there are many, a job moves them
        and deletes the category at its end: 202.
        """
        parsed, move_to = _id_of(category_id), _move_to(request)
        with self._database.transaction() as session:
            scope = owner_scope(request, session)
            current = categories.lock(scope, parsed, also=move_to)
            require_match(request, etag_of(current))
            job_id = category_deletion.delete(scope, current, move_to=move_to)
        send(request, response, accepted(job_id) if job_id else _DONE)


def _move_to(request: falcon.Request) -> UUID | None:
    text = request.get_param("move_to")
    if text is None:
        return None
    parsed = parse_id(text)
    if parsed is None:
        problem = "must be the id of a category; take it from GET /v1/categories"
        raise InvalidInputError("the query parameter move_to does not fit", (("/move_to", problem),))
    return parsed


def etag_of(shown: Category) -> str:
    """Return the tag of a category's current state."""
    return version_etag(shown.id, shown.version)


def category_view(shown: Category) -> CategoryView:
    """Return a category as its owner sees it."""
    return {
        "id": shown.id,
        "kind": shown.kind,
        "name": shown.name,
        "parent_id": shown.parent_id,
        "color": shown.color,
        "created_at": shown.created_at,
        "updated_at": shown.updated_at,
    }


def category_answer(shown: Category, *, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """Return the answer with a category, with the `ETag` for a change."""
    headers = {"Cache-Control": "private, no-cache"}  # A client may keep it, and asks by its ETag each time.
    if status is HTTPStatus.CREATED:
        headers["Location"] = f"/v1/categories/{shown.id}"
    return json_answer(category_view(shown), status=status, headers=headers, etag=etag_of(shown))


def _id_of(text: str) -> UUID:
    return id_of("category", text, found="GET /v1/categories")
