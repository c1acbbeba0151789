"""The recipes that a plan refuses, at the real engine's own parser: all in one process, since
importing it takes some seconds."""

import json
import subprocess
from pathlib import Path

import pytest

from llmops.engines.contract import Environment
from llmops.engines.llamafactory.options import option_set
from tests.broken_recipes import BROKEN
from tests.fast.test_broken_recipes import OPTIONS

pytestmark = pytest.mark.engine

STAGES = {"cpt": "pt", "sft": "sft", "dpo": "dpo", "kto": "kto"}
PARSE = """
import json, sys
from llamafactory.hparams import get_train_args
said = []
for config in json.load(open(sys.argv[1])):
    try:
        get_train_args(config)
        said.append("")
    except BaseException as error:
        said.append(f"{type(error).__name__}: {error}")
json.dump(said, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def said(llamafactory: Environment, tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What the parser says of each broken recipe; empty where it takes it."""
    folder = tmp_path_factory.mktemp("parsed")
    configs = []
    for broken in BROKEN:
        share = broken.more.get("validation")
        configs.append(
            {
                "stage": STAGES[broken.stage],
                "model_name_or_path": "base",
                "dataset": "a",
                "do_train": True,
                "use_cpu": True,
                "output_dir": str(folder / "output"),
                **({"val_size": share, "do_eval": True} if share else {}),
                **broken.args,
            }
        )
    (folder / "configs.json").write_text(json.dumps(configs))
    command = [str(llamafactory.python), "-c", PARSE, "configs.json", "said.json"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return dict(enumerate(json.loads((folder / "said.json").read_text())))


@pytest.mark.parametrize(
    "place",
    [place for place, broken in enumerate(BROKEN) if broken.real],
    ids=lambda place: "-".join(BROKEN[place].args),
)
def test_the_engine_refuses_it(place: int, said: dict[int, str]) -> None:
    assert BROKEN[place].real in said[place]


def test_the_others_pass_its_parser(said: dict[int, str]) -> None:
    """But for a package that is not installed: it would have to be, to come that far."""
    others = [what for place, what in said.items() if not BROKEN[place].real]
    assert {what.partition(":")[0] for what in others} <= {"", "PackageNotFoundError"}


def test_the_options_that_fast_tests_know(llamafactory: Environment) -> None:
    known = json.loads(Path(OPTIONS).read_text(encoding="utf-8"))
    found = option_set(llamafactory)
    assert {item["name"] for item in known["options"]} == found.options.keys()
    assert known["templates"] == list(found.templates)
