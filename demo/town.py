"""The whole path once, on the real engines: `make demo`.

Runs pipelines/town.yaml (a base from scratch, CPT, SFT, DPO), serves the SFT and the DPO version
side by side with vLLM, asks both the held-out questions through the OpenAI-compatible endpoint,
prints the table and stops what it started. Run from the project's root.

    python demo/town.py [--json FILE] [--all]
"""

import argparse
import json
import re
import sys
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmops.errors import LlmopsError
from llmops.runner.progress import reporter
from llmops.runner.stage import Context
from llmops.runner.start import start_run, termination_as_interrupt
from llmops.serving.client import ask
from llmops.serving.supervisor import Supervisor, serving
from llmops.spec.load import load_deployment
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS

PIPELINE = Path("pipelines/town.yaml")
DEPLOYMENT = Path("serving/town.yaml")
QUESTIONS = Path("recipes/data/town_questions.jsonl")
TERSE_WORDS = 4
SHOWN = 12


@dataclass(frozen=True)
class Score:
    """What a version made of the questions. correct, terse: shares, 0 to 1."""

    version: str
    correct: float
    terse: float
    answers: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="also write the result here")
    parser.add_argument("--all", action="store_true", help="show every question")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        with termination_as_interrupt():
            run_pipeline()
            trained = time.monotonic()
            items = read_questions(QUESTIONS)
            before, after = serve_and_ask(items)
    except LlmopsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; `make demo` goes on from there", file=sys.stderr)
        return 130
    took = {"pipeline": trained - began, "serving": time.monotonic() - trained}
    print_table(items, before, after, shown=len(items) if options.all else SHOWN)
    print(f"pipeline {took['pipeline']:.0f} s, serving and asking {took['serving']:.0f} s")
    if options.json:
        result = {"before": asdict(before), "after": asdict(after), "seconds": took}
        options.json.write_text(json.dumps(result, indent=2), encoding="utf-8")
    return 0


def run_pipeline() -> None:
    context = Context(load_settings())
    start_run(PIPELINE, [], context=context, kinds=KINDS, reporter=reporter())


def read_questions(path: Path) -> list[dict[str, str]]:
    """Held-out items: prompt, answer, relation."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def serve_and_ask(items: list[dict[str, str]]) -> tuple[Score, Score]:
    """Both variants, served at once, asked the same questions greedily."""
    with serving(load_deployment(DEPLOYMENT), load_settings(), report=_tell) as server:
        _tell(f"ready at {server.endpoint}")
        return tuple(score(items, server, name) for name in ("control", "candidate"))  # type: ignore[return-value]


def score(items: list[dict[str, str]], server: Supervisor, variant: str) -> Score:
    version = server.variants[variant]

    def told(count: int) -> None:
        if count % 48 == 0 or count == len(items):
            _tell(f"{version}: {count}/{len(items)} questions answered")

    prompts = [item["prompt"] for item in items]
    answers = ask(server.endpoint, version, prompts, max_tokens=48, on_answer=told)
    texts = [answer.text.strip() for answer in answers]
    return score_texts(items, version, texts)


def score_texts(items: list[dict[str, str]], version: str, texts: list[str]) -> Score:
    """An answer is correct when it names the right value and no other of its relation."""
    values: dict[str, set[str]] = defaultdict(set)
    for item in items:
        values[item["relation"]].add(item["answer"])
    correct = [
        {v for v in values[item["relation"]] if re.search(rf"\b{re.escape(v)}\b", text)}
        == {item["answer"]}
        for item, text in zip(items, texts, strict=True)
    ]
    terse = [len(text.split()) <= TERSE_WORDS for text in texts]
    return Score(version, sum(correct) / len(items), sum(terse) / len(items), texts)


def print_table(items: list[dict[str, str]], before: Score, after: Score, *, shown: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(
        header_style="bold",
        title_justify="left",
        title=f"{len(items)} held-out questions, {shown} shown",
    )
    table.add_column("question")
    table.add_column(f"before: {before.version} (SFT)")
    table.add_column(f"after: {after.version} (DPO)")
    for i in range(shown):
        # Spread over the towns; kinds of question take turns, and so do the two phrasings of each.
        town = i * (len(items) // 4) // shown + i // 4 % 2
        place = i if shown == len(items) else town * 4 + i % 4
        row: list[Any] = [items[place]["prompt"], before.answers[place], after.answers[place]]
        table.add_row(*row)
    table.add_section()
    for name, old, new in (
        ("share correct", before.correct, after.correct),
        ("share terse", before.terse, after.terse),
    ):
        table.add_row(f"[bold]{name}", f"[bold]{old:.1%}", f"[bold]{new:.1%}")
    console.print(table)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
