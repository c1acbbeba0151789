"""The recipes that a plan refuses, at the real engine: first at its own parser, then those that it
takes in a training of two steps. Each all in one process, since importing it takes some seconds."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import llmops
from llmops.engines.contract import Environment
from llmops.engines.llamafactory.options import as_json, option_set
from tests.broken import Broken
from tests.broken_recipes import BROKEN
from tests.fast.test_broken_recipes import OPTIONS
from tests.training_jobs import write_rows

pytestmark = pytest.mark.engine

STAGES = {"cpt": "pt", "sft": "sft", "dpo": "dpo", "kto": "kto", "rm": "rm"}
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

TRAIN = """
import json, shutil, sys
sys.path.insert(0, sys.argv[3])
from launcher import stand_in_for_torchaudio
stand_in_for_torchaudio()
from llamafactory.train.tuner import run_exp
said = []
for config in json.load(open(sys.argv[1])):
    shutil.rmtree(config["output_dir"], ignore_errors=True)
    try:
        run_exp(config)
        said.append("")
    except BaseException as error:
        said.append(f"{type(error).__name__}: {error}")
json.dump(said, open(sys.argv[2], "w"))
"""
WORKER = Path(llmops.__file__).parent / "engines" / "llamafactory" / "worker"
TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user"}
ROLES = {**TAGS, "assistant_tag": "assistant", "system_tag": "system"}
HI = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
PAIR: tuple[dict[str, Any], dict[str, Any]] = (
    {"messages": HI[:1], "chosen": HI[1], "rejected": {"role": "assistant", "content": "no"}},
    {"ranking": True, "columns": {n: n for n in ("messages", "chosen", "rejected")}},
)
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cpt": ({"text": "One and one is two. " * 8}, {"columns": {"prompt": "text"}}),
    "sft": ({"messages": HI}, {"columns": {"messages": "messages"}}),
    "dpo": PAIR,
    "rm": PAIR,
    "kto": ({"messages": HI, "l": True}, {"columns": {"messages": "messages", "kto_tag": "l"}}),
}


@pytest.fixture(scope="module")
def said(llamafactory: Environment, tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """What the parser says of each broken recipe; empty where it takes it."""
    folder = tmp_path_factory.mktemp("parsed")
    configs = [parsed(broken, folder) for broken in BROKEN]
    return dict(enumerate(run(llamafactory, PARSE, configs, folder)))


def parsed(broken: Broken, folder: Path) -> dict[str, Any]:
    share = broken.more.get("validation")
    return {
        "stage": STAGES[broken.stage],
        "model_name_or_path": "base",
        "dataset": "a",
        "do_train": True,
        "use_cpu": True,
        "output_dir": str(folder / "output"),
        **({"val_size": share, "do_eval": True} if share else {}),
        **broken.args,
    }


def run(engine: Environment, code: str, configs: list[Any], folder: Path) -> list[str]:
    """What `code` says of each config."""
    (folder / "configs.json").write_text(json.dumps(configs))
    files = ["configs.json", "said.json", str(WORKER)]
    command = [str(engine.python), "-c", code, *files]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
    said: list[str] = json.loads((folder / "said.json").read_text())
    return said


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
    assert known == json.loads(json.dumps(as_json(option_set(llamafactory))))


LATE = [
    broken
    for broken in BROKEN
    if not (broken.real or broken.gpus)
    and not {"template", "resources"} & broken.more.keys()
    and not {"dataset", "use_galore", "quantization_bit", "deepspeed"} & broken.args.keys()
]


@pytest.fixture(scope="module")
def trained(
    llamafactory: Environment, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[str]:
    """What the engine says of each of LATE; empty where it trains to the end."""
    folder = tmp_path_factory.mktemp("trained")
    info = {}
    for stage, (row, entry) in ROWS.items():
        write_rows(folder / f"{stage}.jsonl", row)
        turns = {"formatting": "sharegpt", "tags": ROLES} if stage != "cpt" else {}
        info[stage] = {"file_name": str(folder / f"{stage}.jsonl"), **turns, **entry}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    steps = {"max_steps": 2, "per_device_train_batch_size": 2, "cutoff_len": 32}
    configs = []
    for broken in LATE:
        config = parsed(broken, folder) | {"model_name_or_path": str(tiny_base)}
        config |= {"dataset": broken.stage, "dataset_dir": str(folder), "overwrite_cache": True}
        config |= {"report_to": "none", "save_strategy": "no", **steps, **broken.args}
        if "num_train_epochs" in broken.args:
            del config["max_steps"]
        configs.append(config)
    return run(llamafactory, TRAIN, configs, folder)


@pytest.mark.parametrize("place", range(len(LATE)), ids=lambda n: "-".join(LATE[n].args))
def test_the_engine_fails_late_or_trains_something_else(place: int, trained: list[str]) -> None:
    late = LATE[place].late
    assert late in trained[place] if late else not trained[place]
