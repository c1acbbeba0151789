"""Measuring a version by suites: ask, check, count. Against a baseline, which is asked the same.

Who answers is given (serving.servers.Answering). Nothing here starts or stops a server.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmops.errors import Failed
from llmops.evaluation import judge, perplexity, statistics
from llmops.evaluation.answers import PAUSES, Ask, Kept, collect
from llmops.evaluation.checks import Outcome, outcome
from llmops.evaluation.fields import filled
from llmops.evaluation.items import Asked, Item
from llmops.evaluation.statistics import Interval
from llmops.serving.client import answer, request
from llmops.spec.evaluation import Sampling
from llmops.spec.suite import JudgeCheck, Metric
from llmops.store.digest import sha256_json
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    from llmops.serving.servers import Answering


@dataclass(frozen=True)
class Subject:
    """A version to be asked. digest, base_digest: of its files and of its base's, which hold the
    chat template; with: what else decides its answers (the server's options)."""

    id: str
    digest: str
    base_digest: str | None
    answering: "Answering"
    served_with: str = ""

    def key(self, how: Mapping[str, Any]) -> str:
        """The name under which its answers to questions that are asked in this way are kept."""
        return sha256_json(
            {
                "version": self.digest,
                "base": self.base_digest,
                "model": self.answering.model,
                "backend": self.answering.backend,
                "served_with": self.served_with,
                **how,
            }
        )


@dataclass(frozen=True)
class Measured:
    """One metric of one suite. version, baseline: rates (for perplexity: the mean negative
    log-likelihood per token); difference: paired, the version's less the baseline's. values: by
    item, the version's and the baseline's. notes: what a reader should know."""

    suite: str
    metric: str
    kind: str
    version: Interval
    baseline: Interval | None
    difference: Interval | None
    values: tuple[tuple[float, float | None], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SuiteResult:
    """What a suite showed. texts: by item, the answer of the version and of the baseline."""

    asked: Asked
    measured: tuple[Measured, ...]
    texts: tuple[tuple[Outcome | None, Outcome | None], ...]


@dataclass(frozen=True)
class Session:
    """What all the suites of one evaluation share. report: what is asked, how many are answered,
    of all. pauses: seconds before a question that failed is asked again."""

    version: Subject
    baseline: Subject | None
    sampling: Sampling
    confidence: float
    paths: ProjectPaths
    report: Callable[[str, int, int], None]
    pauses: tuple[float, ...] = PAUSES

    def measure(self, asked: Asked) -> SuiteResult:
        """Raises Failed when a server does not answer; what was answered by then is kept."""
        chats = any(metric.kind != "perplexity" for metric in asked.suite.metrics.values())
        answers = [
            self._answers(asked, subject) if chats and subject is not None else None
            for subject in (self.version, self.baseline)
        ]
        measured = [
            self._metric(asked, name, metric, answers[0] or [], answers[1])
            for name, metric in asked.suite.metrics.items()
        ]
        empty: list[Outcome | None] = [None] * len(asked.items)
        columns = [list(one) if one is not None else empty for one in answers]
        return SuiteResult(asked, tuple(measured), tuple(zip(*columns, strict=True)))

    def _answers(self, asked: Asked, subject: Subject) -> list[Outcome]:
        """Repeated prompts are asked once."""
        kept = Kept(self.paths.answers(subject.key({"sampling": self.sampling.model_dump()})))
        keys = [sha256_json(list(item.messages)) for item in asked.items]
        names = {key: item.id for key, item in zip(keys, asked.items, strict=True)}
        with subject.answering.endpoint.client() as client:
            questions: dict[str, Ask] = {
                key: self._question(client, subject, item)
                for key, item in zip(keys, asked.items, strict=True)
            }
            told = f"{subject.id} {asked.suite.name}"
            found = collect(
                questions,
                kept,
                name=lambda key: f"item `{names[key]}` of {asked.suite.name}, by {subject.id},",
                report=lambda done, total: self.report(told, done, total),
                pauses=self.pauses,
            )
        return [Outcome(found[key]["text"], found[key]["finish"] != "length") for key in keys]

    def _question(self, client: Any, subject: Subject, item: Item) -> Ask:
        sampling = self.sampling
        body = request(
            subject.answering.model,
            list(item.messages),
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
        )
        if sampling.temperature > 0:
            body["seed"] = sampling.seed

        def ask() -> dict[str, Any]:
            found = answer(client, body)
            return {"text": found.text, "finish": found.finish_reason, "tokens": found.tokens}

        return ask

    def _metric(
        self,
        asked: Asked,
        name: str,
        metric: Metric,
        answers: Sequence[Outcome],
        baseline: Sequence[Outcome] | None,
    ) -> Measured:
        if metric.perplexity is not None:
            return self._perplexity(asked, name, metric.perplexity)
        if metric.judge is not None:
            assert baseline is not None, "the plan refuses a judge without a baseline"
            return self._judged(asked, name, metric.judge, answers, baseline)
        values = _outcomes(metric, answers, asked)
        others = None if baseline is None else _outcomes(metric, baseline, asked)
        return self._rates(asked, name, metric.kind, values, others)

    def _rates(
        self,
        asked: Asked,
        name: str,
        kind: str,
        values: Sequence[float],
        others: Sequence[float] | None,
        notes: tuple[str, ...] = (),
    ) -> Measured:
        sources, level = asked.sources, self.confidence
        return Measured(
            asked.suite.name,
            name,
            kind,
            statistics.rate(values, sources, level),
            None if others is None else statistics.rate(others, sources, level),
            None if others is None else statistics.difference(values, others, sources, level),
            _pairs(values, others),
            notes,
        )

    def _judged(
        self,
        asked: Asked,
        name: str,
        check: JudgeCheck,
        answers: Sequence[Outcome],
        baseline: Sequence[Outcome],
    ) -> Measured:
        compared = judge.compare(
            check,
            asked.items,
            [one.text for one in answers],
            [one.text for one in baseline],
            paths=self.paths,
            report=lambda done, total: self.report(f"judge {check.model}", done, total),
        )
        unclear = sum(one.unclear for one in compared)
        notes = (f"{unclear:,} replies of the judge named no side",) if unclear else ()
        won = [float(one.won > 0) for one in compared]
        lost = [float(one.won < 0) for one in compared]
        return self._rates(asked, name, "judge", won, lost, notes)

    def _perplexity(self, asked: Asked, name: str, text: str) -> Measured:
        texts = [filled(text, item.fields) for item in asked.items]
        ours = self._likelihoods(asked, texts, self.version)
        level, sources = self.confidence, asked.sources
        version = statistics.log_ratio(ours, sources, level)
        if self.baseline is None:
            values = tuple((total / max(1.0, count), None) for total, count in ours)
            return Measured(asked.suite.name, name, "perplexity", version, None, None, values)
        theirs = self._likelihoods(asked, texts, self.baseline)
        if any(one[1] != other[1] for one, other in zip(ours, theirs, strict=True)):
            raise Failed(
                f"{self.version.id} and {self.baseline.id} split the texts into other tokens: "
                "their perplexities cannot be compared",
                where=f"metric {asked.suite.name}.{name}",
                fix="compare versions on the same tokenizer, or leave the baseline out",
            )
        changes = [(a[0] - b[0], a[1]) for a, b in zip(ours, theirs, strict=True)]
        return Measured(
            asked.suite.name,
            name,
            "perplexity",
            version,
            statistics.log_ratio(theirs, sources, level),
            statistics.log_ratio(changes, sources, level),
            tuple(
                (a[0] / max(1.0, a[1]), b[0] / max(1.0, b[1]))
                for a, b in zip(ours, theirs, strict=True)
            ),
        )

    def _likelihoods(
        self, asked: Asked, texts: Sequence[str], subject: Subject
    ) -> list[tuple[float, float]]:
        """For each text its negative log-likelihood and its tokens."""
        kept = Kept(self.paths.answers(subject.key({"question": "likelihood"})))
        keys = [sha256_json(text) for text in texts]
        names = {key: item.id for key, item in zip(keys, asked.items, strict=True)}
        with subject.answering.endpoint.client() as client:
            model = subject.answering.model
            found = collect(
                {
                    k: perplexity.question(client, model, t)
                    for k, t in zip(keys, texts, strict=True)
                },
                kept,
                name=lambda key: f"the likelihood of item `{names[key]}`, by {subject.id},",
                report=lambda done, total: self.report(f"{subject.id} likelihoods", done, total),
                pauses=self.pauses,
            )
        totals = [(float(found[key]["nll"]), float(found[key]["tokens"])) for key in keys]
        if not sum(count for _, count in totals):
            raise Failed("the texts are too short to have a perplexity: one token each")
        return totals


def _outcomes(metric: Metric, answers: Sequence[Outcome], asked: Asked) -> list[float]:
    return [
        float(outcome(metric, one, item.fields))
        for one, item in zip(answers, asked.items, strict=True)
    ]


def _pairs(
    values: Sequence[float], others: Sequence[float] | None
) -> tuple[tuple[float, float | None], ...]:
    if others is None:
        return tuple((value, None) for value in values)
    return tuple(zip(values, others, strict=True))


def perplexity_of(likelihood: float) -> float:
    """exp of the mean negative log-likelihood per token."""
    return math.exp(min(likelihood, 700.0))
