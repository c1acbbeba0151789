"""A judge model that compares two answers to one prompt, behind any OpenAI-compatible endpoint.

Judges prefer the answer that they read first (Zheng et al., 2023, arXiv:2306.05685), so each pair
is asked in both orders; an answer has won when it wins both, and everything else is a tie.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from llmops.errors import BadInput
from llmops.evaluation.answers import Ask, Kept, Value, collect
from llmops.evaluation.items import Item
from llmops.serving.client import Message, answer, request
from llmops.serving.endpoint import root_of
from llmops.spec.suite import JudgeCheck
from llmops.store.digest import sha256_json
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    import httpx

Verdict = Literal["first", "second", "tie", "unclear"]

TASK = (
    "You compare two answers, A and B, to the same prompt. {criteria} The order in which they are "
    "shown means nothing. Reply with one word: A, B or tie."
)
_VERDICT = re.compile(r"\b(?:(A|B)|((?i:tie)))\b")


@dataclass(frozen=True)
class Comparison:
    """One item with both answers. won: 1 the version's, -1 the baseline's, 0 neither; unclear: a
    reply of the judge named no side."""

    won: int
    unclear: bool


def key_of(judge: JudgeCheck, where: str) -> str | None:
    """The judge's API key. Raises BadInput when its variable is not set."""
    if judge.key_env is None:
        return None
    key = os.environ.get(judge.key_env)
    if not key:
        fix = f"export {judge.key_env}=..."
        raise BadInput(f"the variable `{judge.key_env}` is not set", where=where, fix=fix)
    return key


def compare(
    judge: JudgeCheck,
    items: Sequence[Item],
    answers: Sequence[str],
    baseline: Sequence[str],
    *,
    paths: ProjectPaths,
    report: Callable[[int, int], None],
) -> list[Comparison]:
    """What the judge makes of each pair of answers. The same answer twice is a tie, unasked.

    Raises Failed when the judge does not answer; what it said by then is kept.
    """
    kept = Kept(paths.answers(sha256_json({"verdicts": judge.model_dump(mode="json")})))
    pairs = list(zip(items, answers, baseline, strict=True))
    orders = [(_messages(judge, i, a, b), _messages(judge, i, b, a)) for i, a, b in pairs]
    keys = [(sha256_json(one), sha256_json(other)) for one, other in orders]
    differ = [a.strip() != b.strip() for _, a, b in pairs]
    with _client(judge) as client:
        questions: dict[str, Ask] = {}
        names: dict[str, str] = {}
        for (item, _, _), both, two in zip(pairs, orders, keys, strict=True):
            for messages, key in zip(both, two, strict=True):
                questions[key] = _question(client, judge, messages)
                names[key] = f"the judge's comparison of item `{item.id}`"
        wanted = {key for two, differs in zip(keys, differ, strict=True) if differs for key in two}
        asked = {key: ask for key, ask in questions.items() if key in wanted}
        said = collect(asked, kept, name=names.__getitem__, report=report)
    return [
        _compared(two, said) if differs else Comparison(0, False)
        for two, differs in zip(keys, differ, strict=True)
    ]


def _compared(keys: tuple[str, str], said: dict[str, Value]) -> Comparison:
    first, second = (said[key]["verdict"] for key in keys)
    unclear = "unclear" in (first, second)
    if (first, second) == ("first", "second"):
        return Comparison(1, unclear)
    if (first, second) == ("second", "first"):
        return Comparison(-1, unclear)
    return Comparison(0, unclear)


def verdict(reply: str) -> Verdict:
    """The side that a reply names: the only one it names, or a tie."""
    named = {(found[0] or found[1]).lower() for found in _VERDICT.findall(_last_line(reply))}
    if "tie" in named:
        return "tie"
    if len(named) != 1:
        return "unclear"
    return "first" if named == {"a"} else "second"


def _last_line(reply: str) -> str:
    """Where a judge that reasons first says what it concludes."""
    lines = [line for line in reply.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _messages(judge: JudgeCheck, item: Item, first: str, second: str) -> list[Message]:
    prompt = "\n".join(f"{turn['role']}: {turn['content']}" for turn in item.messages)
    shown = f"Prompt:\n{prompt}\n\nAnswer A:\n{first}\n\nAnswer B:\n{second}"
    return [
        {"role": "system", "content": TASK.format(criteria=judge.criteria)},
        {"role": "user", "content": shown},
    ]


def _question(client: "httpx.Client", judge: JudgeCheck, messages: list[Message]) -> Ask:
    body = request(judge.model, messages, max_tokens=judge.max_tokens, temperature=0.0)
    # Not the reply, which may quote what a user said: erasure would not find it.
    return lambda: {"verdict": verdict(answer(client, body).text)}


def _client(judge: JudgeCheck) -> "httpx.Client":
    """Unlike a backend of one's own, a judge may lie behind a proxy."""
    import httpx

    key = key_of(judge, "judge")
    url = root_of(judge.url)
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    return httpx.Client(
        base_url=url,
        timeout=httpx.Timeout(120.0, connect=5.0),
        trust_env=not local,
        verify=not local or url.startswith("https:"),
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )
