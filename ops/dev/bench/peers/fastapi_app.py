"""FastAPI and SQLModel as full-stack-fastapi-template has them: JWT (HS256), an ORM session per request, no event.

Its routes, models and dependencies are those of the template, in one module. Passwords have the argon2id parameters of
Money Flow, so that a sign-in compares the applications and not their hashes. uvicorn serves it.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from fastapi import APIRouter, Depends, FastAPI, HTTPException, status
from fastapi.middleware.cors import CORSMiddleware
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pydantic import BaseModel, EmailStr
from sqlmodel import Field, Session, SQLModel, create_engine, select

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


class Token(BaseModel):
    """The answer to a sign-in."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - not a secret


class TokenPayload(BaseModel):
    """The claims of a token."""

    sub: str | None = None


engine = create_engine(fastapi_url())
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


app = FastAPI(title="Full Stack FastAPI Project", openapi_url="/api/v1/openapi.json")
app.add_middleware(
    CORSMiddleware, allow_origins=["http://localhost:5173"], allow_credentials=True, allow_methods=["*"],
    allow_headers=["*"],
)  # fmt: skip
app.include_router(router)

if __name__ == "__main__":
    SQLModel.metadata.create_all(engine)
