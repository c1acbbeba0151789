"""What the API's bodies are made of.

Requests know their keys, as declarations do; answers may grow further keys, which clients ignore.
"""

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Ask(BaseModel):
    """The body of a request: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", str_max_length=4_000_000)


class Answer(BaseModel):
    """The body of an answer. What a function of the CLI tells beyond the declared keys passes
    through."""

    model_config = ConfigDict(extra="allow")


class Page(Answer, Generic[T]):
    """A part of a list. next: what to pass as `after` for the part that follows; None at the
    end."""

    items: list[T]
    next: str | None = None


class Items(Answer, Generic[T]):
    """A whole list, of what a project has few of."""

    items: list[T]


Json = Annotated[dict[str, Any], Field(description="JSON, as the command prints it")]
