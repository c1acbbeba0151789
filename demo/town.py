"""The loop, turning twice on the real engines: `make demo`.

Runs pipelines/town.yaml until it has come to its end twice: the model is made, simulated users
rate it, pairs are built, a candidate is trained, examined, tried and released, and then again.
Prints what came of it and writes one HTML page. Started again after it was killed, it goes on
from there. Run from the project's root.

    python -m demo.town [--rounds N] [--report FILE]
"""

import argparse
import sys
import time
from pathlib import Path

from demo.report import html, print_table
from demo.rounds import finished, read_story
from llmops.errors import Failed, LlmopsError
from llmops.runner.progress import reporter
from llmops.runner.stage import Context
from llmops.runner.start import start_run, termination_as_interrupt
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.store.atomic import write_text

PIPELINE = Path("pipelines/town.yaml")
REPORT = Path(".llmops/demo.html")
ROUNDS = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often to turn")
    parser.add_argument("--report", type=Path, default=REPORT, help="where to write the page")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        with termination_as_interrupt():
            turn(options.rounds)
            story = read_story(Context(load_settings()), PIPELINE)
            write_text(options.report, html(story))
    except LlmopsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; `make demo` goes on from there", file=sys.stderr)
        return 130
    print_table(story)
    print(f"{time.monotonic() - began:.0f} s. The report: {options.report}")
    return 0


def turn(rounds: int) -> None:
    """Run the pipeline until it has come to its end `rounds` times in this project."""
    while (done := len(finished(Context(load_settings()), PIPELINE))) < rounds:
        print(f"round {done + 1} of {rounds}", file=sys.stderr, flush=True)
        context = Context(load_settings())
        record = start_run(PIPELINE, [], context=context, kinds=KINDS, reporter=reporter())
        if record.state != "done":
            raise Failed(
                f"run {record.id} is {record.state}: the experiment has not decided",
                fix="llmops run recipes/trial.yaml seed=3, then llmops run --resume last",
            )


if __name__ == "__main__":
    sys.exit(main())
