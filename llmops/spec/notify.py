"""The grammar of who is told what happened: `[[notify]]` in llmops.toml."""

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from llmops.spec.grammar import Spec, Url

Event = Literal["failed", "refused", "alarm", "promoted", "rolled_back", "approval"]
EVENTS: tuple[Event, ...] = get_args(Event)

Variable = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class Notify(Spec):
    """A webhook that is called when something happened.

    url: or url_env, the environment variable that holds it, where it is a secret itself; on: which
    events, all by default; secret_env: the environment variable with the secret that calls are
    signed with.
    """

    url: Url | None = Field(None, repr=False)
    url_env: Variable | None = None
    on: list[Event] = Field(default_factory=lambda: list(EVENTS), min_length=1)
    secret_env: Variable | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "Notify":
        if (self.url is None) == (self.url_env is None):
            raise ValueError("a notification has either `url` or `url_env`")
        return self
