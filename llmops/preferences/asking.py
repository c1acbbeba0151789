"""Asking for second answers and for a judge's verdicts on them; both are kept as they come.

The second answer is sampled at a version's backend, past the gateway: it is neither logged nor
counted as traffic, and no user's prompt is stored once more. A run that is stopped midway has lost
nothing that was answered.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from llmops.preferences.judge import Candidate
from llmops.preferences.verdicts import sample_key, verdict_key
from llmops.spec.preferences import Judge
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    from llmops.serving.endpoint import Endpoint

Report = Callable[[str, int, int], None]
"""What is done, how much of it, of how much."""
Answerer = Callable[[], AbstractContextManager[tuple["Endpoint", str]]]
"""Where the second answers come from: an endpoint and the model's name there. Only entered when
something is to be asked."""


def ask_judge(
    found: Sequence[Candidate],
    judge: Judge,
    answerer: Answerer,
    paths: ProjectPaths,
    report: Report,
) -> None:
    """Have a verdict on every candidate.

    Raises BadInput when the judge's key is not set, Failed when a server does not answer.
    """
    from llmops.evaluation.answers import Kept
    from llmops.evaluation.items import Item
    from llmops.evaluation.judge import compare, key_of
    from llmops.spec.suite import JudgeCheck

    check = JudgeCheck(
        url=judge.url, model=judge.model, key_env=judge.key_env, criteria=judge.criteria
    )
    key_of(check, "builders.judge.key_env")
    kept = Kept(paths.verdicts)
    samples = _sample(found, judge, answerer, kept, report)
    items = [Item(one.inference, one.prompt, {}, one.inference, "") for one in found]
    compared = compare(
        check,
        items,
        [one.answer for one in found],
        samples,
        paths=paths,
        report=lambda done, total: report("judging", done, total),
    )
    with kept.writing() as keep:
        for one, comparison in zip(found, compared, strict=True):
            value = {"inference": one.inference, "won": comparison.won}
            keep(verdict_key(judge, one.inference), value)


def _sample(
    found: Sequence[Candidate], judge: Judge, answerer: Answerer, kept: Any, report: Report
) -> list[str]:
    """The second answers, those that are kept unasked."""
    from llmops.evaluation.answers import collect
    from llmops.serving.client import answer, request

    keys = [sample_key(judge, one.inference) for one in found]
    missing = {key: one for key, one in zip(keys, found, strict=True) if key not in kept.values}
    if missing:
        with answerer() as (endpoint, model), endpoint.client() as client:

            def question(one: Candidate) -> Callable[[], dict[str, Any]]:
                body = request(
                    model,
                    one.prompt,
                    max_tokens=judge.max_tokens,
                    temperature=judge.temperature,
                )

                def ask() -> dict[str, Any]:
                    said = answer(client, body)
                    whole = said.finish_reason == "stop"
                    return {"inference": one.inference, "text": said.text, "whole": whole}

                return ask

            collect(
                {key: question(one) for key, one in missing.items()},
                kept,
                name=lambda key: f"a second answer to {missing[key].inference}",
                report=lambda done, total: report("sampling second answers", done, total),
            )
    return [str(kept.values[key]["text"]) for key in keys]
