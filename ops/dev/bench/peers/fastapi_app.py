"""FastAPI and SQLModel as full-stack-fastapi-template has them: JWT (HS256), an ORM session per request, no event.

Its routes, models and dependencies are those of the template, in one module. Passwords have the argon2id parameters of
Money Flow, so that a sign-in compares the applications and not their hashes. uvicorn serves it.
"""

import datetime as dt
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from fastapi import APIRouter, Depends, FastAPI, HTTPException, status
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel, EmailStr
from sqlalchemy import ARRAY, Column, Text
from sqlmodel import AutoString, Field, Session, SQLModel, col, create_engine, func, select

from ops.dev.bench.peers.addresses import fastapi_url, secret_key

_ALGORITHM = "HS256"
#: The template's: eight days.
_TOKEN_LIFETIME = timedelta(days=8)
_HASHER = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
_NO_HASH = _HASHER.hash("the password of an account that does not exist")


class UserBase(SQLModel):
    """The properties that all forms of a user share."""

    email: EmailStr = Field(unique=True, index=True, max_length=255)
    is_active: bool = True
    is_superuser: bool = False
    full_name: str | None = Field(default=None, max_length=255)


class User(UserBase, table=True):
    """A row of the table."""

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    hashed_password: str
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class UserUpdateMe(SQLModel):
    """The body of a change."""

    full_name: str | None = Field(default=None, max_length=255)
    email: EmailStr | None = Field(default=None, max_length=255)


class UserPublic(UserBase):
    """What the API shows."""

    id: uuid.UUID
    created_at: datetime


class TransactionBase(SQLModel):
    """The properties that all forms of a transaction share."""

    kind: Literal["income", "expense"] = Field(sa_type=AutoString)
    amount: Decimal = Field(gt=0, max_digits=19, decimal_places=4)
    currency: str = Field(min_length=3, max_length=3)
    date: dt.date
    note: str = Field(default="", max_length=1000)
    tags: list[str] = Field(default_factory=list, sa_column=Column(ARRAY(Text), nullable=False))


class TransactionCreate(TransactionBase):
    """The body of a new transaction."""


class Transaction(TransactionBase, table=True):
    """A row of the table; with an index on the owner, which the template's items do without."""

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    owner_id: uuid.UUID = Field(foreign_key="user.id", nullable=False, ondelete="CASCADE", index=True)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class TransactionPublic(TransactionBase):
    """What the API shows."""

    id: uuid.UUID
    owner_id: uuid.UUID
    created_at: datetime


class TransactionsPublic(SQLModel):
    """A page of transactions, and how many there are."""

    data: list[TransactionPublic]
    count: int


class Token(BaseModel):
    """The answer to a sign-in."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - not a secret


class TokenPayload(BaseModel):
    """The claims of a token."""

    sub: str | None = None


#: As many connections as Starlette has threads. With the template's 15, requests that wait for a connection hold all
#: threads under load: those that have one cannot end, and nothing is answered for seconds.
engine = create_engine(fastapi_url(), pool_size=40, max_overflow=0)
_oauth2 = OAuth2PasswordBearer(tokenUrl="/api/v1/login/access-token")


def get_db() -> Iterator[Session]:
    """Open an ORM session for one request."""
    with Session(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_db)]
TokenDep = Annotated[str, Depends(_oauth2)]


def get_current_user(session: SessionDep, token: TokenDep) -> User:
    """Load the user of the token."""
    try:
        payload = jwt.decode(token, secret_key(), algorithms=[_ALGORITHM])
        token_data = TokenPayload(**payload)
    except (jwt.InvalidTokenError, ValueError) as error:
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Could not validate credentials") from error
    user = session.get(User, uuid.UUID(token_data.sub))
    if not user:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "User not found")
    if not user.is_active:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "Inactive user")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]
router = APIRouter(prefix="/api/v1")


@router.post("/login/access-token")
def login_access_token(session: SessionDep, form_data: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Token:
    """Sign in: return a token for later requests."""
    user = session.exec(select(User).where(User.email == form_data.username)).first()
    try:
        _HASHER.verify(user.hashed_password if user else _NO_HASH, form_data.password)
    except VerificationError:
        user = None
    if not user:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "Incorrect email or password")
    if not user.is_active:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "Inactive user")
    claims = {"exp": datetime.now(UTC) + _TOKEN_LIFETIME, "sub": str(user.id)}
    return Token(access_token=jwt.encode(claims, secret_key(), algorithm=_ALGORITHM))


@router.get("/users/me", response_model=UserPublic)
def read_user_me(current_user: CurrentUser) -> Any:
    """Return the caller's account."""
    return current_user


@router.patch("/users/me", response_model=UserPublic)
def update_user_me(*, session: SessionDep, user_in: UserUpdateMe, current_user: CurrentUser) -> Any:
    """Change the caller's account."""
    if user_in.email:
        existing_user = session.exec(select(User).where(User.email == user_in.email)).first()
        if existing_user and existing_user.id != current_user.id:
            raise HTTPException(status.HTTP_409_CONFLICT, "User with this email already exists")
    user_data = user_in.model_dump(exclude_unset=True)
    current_user.sqlmodel_update(user_data)
    session.add(current_user)
    session.commit()
    session.refresh(current_user)
    return current_user


@router.get("/transactions/", response_model=TransactionsPublic)
def read_transactions(session: SessionDep, current_user: CurrentUser, skip: int = 0, limit: int = 100) -> Any:
    """List the caller's transactions."""
    is_own = Transaction.owner_id == current_user.id
    count = session.exec(select(func.count()).select_from(Transaction).where(is_own)).one()
    statement = select(Transaction).where(is_own).order_by(col(Transaction.date).desc()).offset(skip).limit(limit)
    found = session.exec(statement).all()
    return TransactionsPublic(data=[TransactionPublic.model_validate(one) for one in found], count=count)


@router.get("/transactions/{id}", response_model=TransactionPublic)
def read_transaction(session: SessionDep, current_user: CurrentUser, id: uuid.UUID) -> Any:
    """Return a transaction."""
    transaction = session.get(Transaction, id)
    if not transaction:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "Transaction not found")
    if not current_user.is_superuser and (transaction.owner_id != current_user.id):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "Not enough permissions")
    return transaction


@router.post("/transactions/", response_model=TransactionPublic)
def create_transaction(*, session: SessionDep, current_user: CurrentUser, transaction_in: TransactionCreate) -> Any:
    """Add a transaction."""
    transaction = Transaction.model_validate(transaction_in, update={"owner_id": current_user.id})
    session.add(transaction)
    session.commit()
    session.refresh(transaction)
    return transaction


app = FastAPI(title="Full Stack FastAPI Project", openapi_url="/api/v1/openapi.json")
app.add_middleware(
    CORSMiddleware, allow_origins=["http://localhost:5173"], allow_credentials=True, allow_methods=["*"],
    allow_headers=["*"],
)  # fmt: skip
app.include_router(router)

if __name__ == "__main__":
    SQLModel.metadata.create_all(engine)
