"""A conversation with a variant of a running deployment."""

from collections.abc import Iterator
from pathlib import Path

from llmops.errors import BadInput
from llmops.serving.client import Answer, Message, Stream, request
from llmops.serving.endpoint import Endpoint
from llmops.serving.state import ServingState, read_state, running
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.store.paths import ProjectPaths


def find_running(name: str, file: Path, paths: ProjectPaths) -> ServingState:
    """The state of a deployment that is ready. Raises BadInput, with the command to start it."""
    state = read_state(paths.deployment(name))
    if state is None:
        others = [one.name for one in running(paths.serving)]
        listed = f" (running: {', '.join(others)})" if others else ""
        raise BadInput(
            f"deployment `{name}` is not being served{listed}",
            where=display(file),
            fix=f"start it in another terminal: llmops serve {display(file)}",
        )
    if state.status != "ready":
        raise BadInput(
            f"deployment `{name}` is {state.status}",
            where=display(file),
            fix="wait until `llmops serve` says that it is ready",
        )
    return state


def choose_variant(state: ServingState, variant: str | None) -> str:
    """The version to ask: that of `variant`, or of the first one. Raises BadInput, with the
    nearest name, when there is no such variant."""
    if not state.variants:
        raise BadInput(f"no variant of deployment `{state.name}` names a version yet")
    if variant is None:
        return next(iter(state.variants.values()))
    if variant in state.variants:
        return state.variants[variant]
    if variant in state.variants.values():
        return variant
    raise BadInput(
        f"deployment `{state.name}` has no variant `{variant}`",
        fix=did_you_mean(variant, state.variants),
    )


class Conversation:
    """A chat that remembers what was said. model: the version that answers; last: its latest
    complete answer."""

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> None:
        self._client = endpoint.client()
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._model = model
        self._said: list[Message] = []
        self.last: Answer | None = None

    def say(self, text: str) -> Iterator[str]:
        """The pieces of the reply, as they come. Raises Failed; a reply that failed or was not
        read to its end leaves the chat as it was."""
        said: list[Message] = [*self._said, {"role": "user", "content": text}]
        stream = Stream(
            self._client,
            request(self._model, said, max_tokens=self._max_tokens, temperature=self._temperature),
        )
        yield from stream
        self.last = stream.answer
        self._said = [*said, {"role": "assistant", "content": stream.answer.text}]

    def reset(self) -> None:
        """Forget what was said."""
        self._said = []

    def close(self) -> None:
        self._client.close()
