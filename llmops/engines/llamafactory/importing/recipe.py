"""The recipe's text, and the proof that it says the same: compiled, it is the config again."""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from llmops.engines.contract import DataSet, Environment, ModelFiles, TrainJob
from llmops.engines.llamafactory.chaining import check_chain
from llmops.engines.llamafactory.checks import check_options
from llmops.engines.llamafactory.compile import compile_train
from llmops.engines.llamafactory.importing.config import Config, Entry, read_config
from llmops.engines.llamafactory.importing.datasets import Found, data_of
from llmops.engines.llamafactory.importing.places import Sorted, base_of, sort_options
from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.optionfiles import FILE_OPTIONS, option_file
from llmops.engines.llamafactory.options import OptionSet, option_set
from llmops.errors import BadInput
from llmops.spec.load import Loaded, load_text
from llmops.spec.recipe import TrainRecipe
from llmops.spec.reference import NAME
from llmops.spec.source import display, parse_scalar
from llmops.store.run_paths import AttemptPaths

_STAGES = {"pt": "cpt", "sft": "sft", "dpo": "dpo", "kto": "kto", "rm": "rm"}
_ROOMY = Machine(cores=8, accelerators=tuple(str(number) for number in range(8)))
"""The config was written for some machine; whether this one will do is for the plan to say."""


@dataclass(frozen=True)
class Imported:
    """text: the recipe; left_out: options that need no place, and why; added: what llmops sets
    besides; todo: what a person should look at."""

    text: str
    left_out: tuple[str, ...]
    added: tuple[str, ...]
    todo: tuple[str, ...]


def import_config(
    path: Path,
    *,
    target: Path,
    model: str | None = None,
    environment: Environment | None = None,
    cache: Path | None = None,
    leave_out: bool = False,
) -> Imported:
    """A training config as a recipe. target: where the recipe is to lie; model: the name under
    which its versions are registered, made from the base's when left out; environment: the
    engine's, None leaves names and values unchecked; leave_out: go on without what cannot be
    carried and would change what is trained.

    Raises BadInput for a config that is no training, or that cannot be carried whole.
    """
    config = read_config(path)
    known = option_set(environment, cache) if environment is not None else None
    options = sort_options(config, known)
    train, held = data_of(config, "dataset", target), data_of(config, "eval_dataset", target)
    lost = [*options.lost, *train.lost, *held.lost]
    if lost and not leave_out:
        raise _refused(config, lost)
    text = _written(config, options, train, held, model or _model_name(config))
    loaded: Loaded[TrainRecipe] = load_text("recipe", text, target)
    todo = [*options.todo, *train.todo, *held.todo, *(f"left out: {one}" for one in lost)]
    unfit = _unfit(loaded, known)
    missing = {key: problem for key in FILE_OPTIONS if (problem := _no_file(loaded, key))}
    todo += [*unfit, *missing.values()]
    added: list[str] = []
    if environment is not None and not unfit:
        added = _compared(config, options, loaded, environment, missing)
    return Imported(text, tuple(options.left_out), tuple(added), tuple(todo))


def _refused(config: Config, lost: list[str]) -> BadInput:
    listed = "".join(f"\n  {one}" for one in lost)
    return BadInput(
        f"a recipe cannot carry all of it, and would train something else:{listed}",
        where=display(config.path),
        fix="change that in the config, or leave it out with --leave-out",
    )


def _model_name(config: Config) -> str:
    name = str(config.get("model_name_or_path")).rstrip("/").rpartition("/")[2].lower()
    found = re.match(NAME, re.sub(r"[^a-z0-9._-]+", "-", name).lstrip("._-"))
    return found[0] if found else "imported"


def _written(config: Config, options: Sorted, train: Found, held: Found, model: str) -> str:
    stage = _STAGES.get(str(config.get("stage")))
    if stage is None:
        known = ", ".join(_STAGES)
        raise config.bad(f"`{config.get('stage')}` is not one of {known}", "stage")
    if not train.files:
        raise config.bad("it names no `dataset`", "dataset", fix="name what it trains on")
    head = {entry.key: entry for entry in config.entries}
    lines = [f"# From {config.path.name}, a config of LLaMA-Factory.", "kind: train"]
    lines += _moved(head.get("stage"), f"stage: {stage}")
    lines += _moved(head.get("model_name_or_path"), f"base: {_scalar(base_of(config))}")
    if config.get("template"):
        lines += _moved(head.get("template"), f"template: {_scalar(str(config.get('template')))}")
    lines += _moved(head.get("dataset"), "data:")
    validation = held.files or (config.get("val_size") or None)
    data = {"train": train.files, **({"validation": validation} if validation else {})}
    lines += _indented(yaml.safe_dump(data, sort_keys=False, allow_unicode=True).splitlines())
    lines += _remarks(head, ("dataset_dir", "eval_dataset", "val_size", "model_revision"))
    lines += ["args:"] if any(entry.key for entry in options.args) else []
    lines += _indented(_args(options.args))
    return "\n".join([*lines, f"output: {{model: {_scalar(model)}}}", ""])


def _moved(entry: Entry | None, line: str) -> list[str]:
    """A line in an option's place, with what was remarked on that."""
    if entry is None:
        return [line]
    return [*_tidy(entry.above), *entry.inside, f"{line}  {entry.behind}".rstrip()]


def _remarks(head: dict[str, Entry], keys: Iterable[str]) -> list[str]:
    found = [head[key] for key in keys if key in head]
    return [
        f"  {line.strip()}"
        for entry in found
        for line in (*entry.above, *entry.inside, entry.behind)
        if line.strip()
    ]


def _args(entries: list[Entry]) -> list[str]:
    return [line for entry in entries for line in (*_tidy(entry.above), *entry.lines)]


def _tidy(lines: tuple[str, ...]) -> list[str]:
    """Without empty lines that followed each other."""
    return [one for n, one in enumerate(lines) if one.strip() or (n and lines[n - 1].strip())]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" if line.strip() else "" for line in lines]


def _scalar(text: str) -> str:
    plain = re.fullmatch(r"[\w:/.@-]+", text) and isinstance(parse_scalar(text), str)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _unfit(loaded: Loaded[TrainRecipe], known: OptionSet | None) -> list[str]:
    """What the plan will refuse, on whatever machine."""
    try:
        if known is not None:
            check_options(loaded, known, _ROOMY)
        check_chain(loaded)
    except BadInput as error:
        return [f"the plan will refuse it: {error}"]
    return []


def _no_file(loaded: Loaded[TrainRecipe], key: str) -> str | None:
    try:
        option_file(loaded, key)
    except BadInput as error:
        return str(error)
    return None


def _compared(
    config: Config,
    options: Sorted,
    loaded: Loaded[TrainRecipe],
    environment: Environment,
    missing: Collection[str],
) -> list[str]:
    """What llmops sets that the config did not. missing: options whose file is not there. Raises
    BadInput when an option came out as something else: better no recipe than a wrong one."""
    args = {key: value for key, value in loaded.spec.args.items() if key not in missing}
    spec = loaded.spec.model_copy(update={"args": args})
    compiled = _compiled(replace(loaded, spec=spec), environment)
    for entry in options.args:
        key = _name(entry.key)
        if key in args and not _same(compiled.get(key), entry.value):
            raise BadInput(
                f"`{entry.key}` would become {compiled.get(key)!r} instead of {entry.value!r}",
                where=config.source.where((entry.key,)),
                fix="this is a defect of llmops import; write the recipe by hand",
            )
    given = {_name(entry.key) for entry in config.entries}
    more = {key: value for key, value in compiled.items() if key not in given}
    return [f"{key}: {value}" for key, value in more.items() if key not in _OURS]


_OURS = (
    "output_dir",
    "dataset_dir",
    "do_train",
    "report_to",
    "overwrite_cache",
    "use_cpu",
    "finetuning_type",
)


def _compiled(loaded: Loaded[TrainRecipe], environment: Environment) -> dict[str, Any]:
    """The engine's options, with placeholders for base and data."""
    data = DataSet(Path("/<data>"), "alpaca", {}, 0, "")
    held = loaded.spec.data.validation
    job = TrainJob(
        recipe=loaded,
        base=ModelFiles(Path("/<base>")),
        train=[data],
        validation=[data] if isinstance(held, list) else held,
        attempt=AttemptPaths(Path("/<attempt>")),
    )
    text = compile_train(job, environment, _ROOMY).files["config.yaml"]
    return {key: parse_scalar(json.dumps(value)) for key, value in yaml.safe_load(text).items()}


def _name(key: str) -> str:
    return "warmup_steps" if key == "warmup_ratio" else key


def _same(found: Any, value: Any) -> bool:
    """Files come out as absolute paths."""
    if isinstance(found, str) and isinstance(value, str):
        return found == value or found.endswith(f"/{value.lstrip('./')}")
    return bool(found == value)
