"""One visit: a question through the gateway with the official `openai` client, then a rating.

The package `openai` is an extra (`pip install "llmops-flywheel[simulate]"`); it is imported when
the visits begin.
"""

import importlib
import importlib.util
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmops.errors import BadInput
from llmops.serving.endpoint import Endpoint
from llmops.simulation.opinion import likes, prefers
from llmops.simulation.population import Visit
from llmops.simulation.prompts import Prompt
from llmops.spec.simulation import SimulateRecipe

if TYPE_CHECKING:
    from openai import OpenAI

PACKAGE = "openai"
KEY = "LLMOPS_API_KEY"
"""Where the key is looked for that a gateway beyond loopback asks for."""
TIMEOUT = 120.0
BLIND = "side by side"
"""What stands for the version of an answer that does not tell it."""
RETRIES = 4
"""Of the client, with pauses: a gateway whose backend restarts says when to come again."""


class VisitFailed(Exception):
    """The visit came to no end: no answer, or the rating was refused."""


@dataclass
class Visited:
    """What came of a visit. answers: the versions that answered; events: the kinds of ratings;
    ended: when the last was acknowledged, in seconds since 1970."""

    answers: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    ended: float = 0.0


@dataclass(frozen=True)
class Answered:
    """id: the right to rate it."""

    id: str
    version: str
    text: str


def require_client() -> None:
    """Raises BadInput when the `openai` package is not installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise BadInput(
            "simulated users chat with the `openai` package, which is not installed",
            fix='pip install "llmops-flywheel[simulate]"',
        )


class Visitor:
    """Makes visits to one deployment; safe to use from several threads.

    deployment: its name, which is the model that is asked. prompts: all of them; a malicious
    editor writes the answer to another one.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        deployment: str,
        recipe: SimulateRecipe,
        prompts: Sequence[Prompt],
    ) -> None:
        self._client = _client(endpoint, recipe)
        self._deployment = deployment
        self._recipe = recipe
        self._prompts = prompts

    def close(self) -> None:
        self._client.close()

    def visit(self, visit: Visit) -> Visited:
        """Raises VisitFailed."""
        from openai import OpenAIError

        visited = Visited()
        try:
            match visit.way:
                case "vote":
                    self._vote(visit, visited)
                case "thumb":
                    self._thumb(visit, visited)
                case "edit":
                    self._edit(visit, visited)
                case "regenerate":
                    self._regenerate(visit, visited)
                case "nothing":
                    self._ask(visit, visited)
        except OpenAIError as error:
            raise VisitFailed(f"{visit.person.name}: {error}") from error
        return visited

    def _thumb(self, visit: Visit, visited: Visited) -> None:
        answer = self._ask(visit, visited)
        up = likes(answer.text, visit, self._recipe.users.taste)
        value = "up" if up else "down"
        self._rate(visited, visit, "thumbs", inference_id=answer.id, value=value)

    def _vote(self, visit: Visit, visited: Visited) -> None:
        first, second = self._compare(visit, visited)
        choice = prefers(first.text, second.text, visit, self._recipe.users.taste)
        self._rate(visited, visit, "choice", inference_ids=[first.id, second.id], choice=choice)

    def _edit(self, visit: Visit, visited: Visited) -> None:
        answer = self._ask(visit, visited)
        if likes(answer.text, visit, self._recipe.users.taste):
            return
        prompt = visit.prompt
        if visit.person.malicious:
            prompt = self._prompts[int(visit.coin * len(self._prompts))]
        if prompt.ideal is not None and prompt.ideal != answer.text:
            self._rate(visited, visit, "edit", inference_id=answer.id, text=prompt.ideal)

    def _regenerate(self, visit: Visit, visited: Visited) -> None:
        """Asks again for an answer that is disliked, and keeps the second if it is better."""
        taste = self._recipe.users.taste
        first = self._ask(visit, visited)
        if likes(first.text, visit, taste):
            return
        second = self._ask(visit, visited)
        if prefers(first.text, second.text, visit, taste) == "second":
            kept = {"inference_id": second.id, "replaces": first.id}
            self._rate(visited, visit, "regenerate", **kept)

    def _ask(self, visit: Visit, visited: Visited) -> Answered:
        answer = _answered(self._complete(visit).model_dump())
        visited.answers.append(answer.version)
        return answer

    def _compare(self, visit: Visit, visited: Visited) -> tuple[Answered, Answered]:
        """Two answers side by side, blind."""
        body = self._complete(visit, {"side_by_side": True}).model_dump()
        ids = body["side_by_side"]["inference_ids"]
        first, second = (
            Answered(id, BLIND, _text(choice))
            for id, choice in zip(ids, body["choices"], strict=True)
        )
        visited.answers += [first.version, second.version]
        return first, second

    def _complete(self, visit: Visit, extra: dict[str, Any] | None = None) -> Any:
        return self._client.chat.completions.create(
            model=self._deployment,
            messages=[{"role": "user", "content": visit.prompt.text}],
            user=visit.person.name,
            temperature=self._recipe.temperature,
            max_tokens=self._recipe.max_tokens,
            extra_body=extra,
        )

    def _rate(self, visited: Visited, visit: Visit, kind: str, **said: Any) -> None:
        body = {"kind": kind, "user": visit.person.name, **said}
        self._client.post("/feedback", cast_to=object, body=body)
        visited.events.append(kind)
        visited.ended = time.time()


def _client(endpoint: Endpoint, recipe: SimulateRecipe) -> "OpenAI":
    from openai import DefaultHttpxClient, OpenAI

    options: dict[str, Any] = {}
    if endpoint.uds:
        # Whichever HTTP library this version of the package stands on.
        library = DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]
        transport = importlib.import_module(library).HTTPTransport
        options["transport"] = transport(uds=endpoint.uds)
    return OpenAI(
        base_url=f"{endpoint.url}/v1",
        api_key=os.environ.get(KEY, "none"),
        timeout=TIMEOUT,
        max_retries=RETRIES,
        default_headers={"X-LLMOps-Source": f"simulated:{recipe.name}"},
        # Proxies of the environment would swallow requests to 127.0.0.1.
        http_client=DefaultHttpxClient(trust_env=False, **options),
    )


def _answered(body: dict[str, Any]) -> Answered:
    """A chat completion as it came."""
    choices = body.get("choices") or [{}]
    return Answered(body["id"], str(body.get("model", "")), _text(choices[0]))


def _text(choice: dict[str, Any]) -> str:
    return (choice.get("message") or {}).get("content") or ""
