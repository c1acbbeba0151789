"""The loop, turning twice on the real engines: `make demo`.

Runs pipelines/town.yaml until it has come to its end twice: the model is made, simulated users
rate it, pairs are built, a candidate is trained, examined, tried and released, and then again.
Prints what came of it and writes one HTML page, and one with the lineage of the last version.
Started again after it was killed, it goes on from there. Run from the project's root.

    python -m demo.town [--rounds N] [--report FILE]
"""

import argparse
import sys
import time
from pathlib import Path

from demo.report import html, print_table
from demo.rounds import finished, read_story
from llmops.errors import BadInput, Failed, LlmopsError
from llmops.lineage.of_version import of_version
from llmops.lineage.project import Project
from llmops.report.lineage import lineage_page
from llmops.runner.progress import reporter
from llmops.runner.record import RunRecord, list_runs
from llmops.runner.resume import GOES_ON
from llmops.runner.stage import Context
from llmops.runner.start import resume_run, start_run, termination_as_interrupt
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
            last = [one.version for one in story.rounds][-1:]
            pages = [options.report, *(write_lineage(one, options.report) for one in last)]
    except LlmopsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; `make demo` goes on from there", file=sys.stderr)
        return 130
    print_table(story)
    print(f"{time.monotonic() - began:.0f} s. The report: {', '.join(map(str, pages))}")
    return 0


def write_lineage(version: str, beside: Path) -> Path:
    """The page of a version's lineage, where the report lies; as `llmops lineage --html`."""
    with Project(load_settings()) as project:
        graph = of_version(version, project)
    page = beside.with_name(f"{beside.stem}-lineage.html")
    write_text(page, lineage_page(graph.record(), version))
    return page


def turn(rounds: int) -> None:
    """Run the pipeline until it has come to its end `rounds` times in this project."""
    while (done := len(finished(Context(load_settings()), PIPELINE))) < rounds:
        _tell(f"round {done + 1} of {rounds}")
        record = go_on(Context(load_settings()))
        if record.state != "done":
            raise Failed(
                f"run {record.id} is {record.state}: the experiment has not decided",
                fix=f"llmops run recipes/trial.yaml seed=3, then llmops run --resume {record.id}",
            )


def go_on(context: Context) -> RunRecord:
    """Go on with the last run of the pipeline if it was killed, else start the next."""
    runs = [run for run in list_runs(context.paths) if Path(run.target).name == PIPELINE.name]
    if runs and runs[-1].state in GOES_ON:
        try:
            return resume_run(runs[-1].id, context=context, kinds=KINDS, reporter=reporter())
        except BadInput as error:
            _tell(f"{error.what}; starting anew")
    return start_run(PIPELINE, [], context=context, kinds=KINDS, reporter=reporter())


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
