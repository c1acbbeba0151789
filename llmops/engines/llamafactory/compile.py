"""From a job to what the engine runs: one config, dataset_info.json, argv and environment.

Pure: it reads the recipe and the base's own config; it writes nothing. tests/fast/golden/ pins
the output.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from llmops.engines.contract import BaseJob, Command, DataSet, Environment, TrainJob
from llmops.engines.llamafactory.chaining import Chain, chain
from llmops.engines.llamafactory.config import render_config
from llmops.engines.llamafactory.datasets import DataFiles, data_files, info_text
from llmops.engines.llamafactory.defaults import default_options, in_group, owned_options
from llmops.engines.llamafactory.enough import check_samples
from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.optionfiles import FILE_OPTIONS, option_file
from llmops.engines.llamafactory.templates import check_template
from llmops.engines.llamafactory.tokens import token_parts
from llmops.engines.llamafactory.words import told
from llmops.store.files import read_object
from llmops.store.run_paths import AttemptPaths

_STAGES = {"cpt": "pt", "sft": "sft", "dpo": "dpo", "kto": "kto", "rm": "rm"}
_WORKER = Path(__file__).parent / "worker"


def compile_train(job: TrainJob, environment: Environment, machine: Machine) -> Command:
    """Compile a training stage. Raises BadInput for a recipe that does not fit its base."""
    root = job.attempt.root.resolve()
    decided = chain(job.recipe, job.base)
    _check_chat(job)
    check_template(job, environment)
    check_samples(job)
    train = data_files(job.train, "train", root)
    sets = job.validation if isinstance(job.validation, Sequence) else ()
    validation = data_files(sets, "validation", root)
    options = {
        **_identity(job, decided, train, validation),
        **_arguments(job),
        **default_options(job, machine),
        **owned_options(environment, machine),
    }
    return Command(
        argv=_argv(job, environment, root),
        env=_environment(job.attempt, machine, job.recipe.spec.resources.devices),
        files={
            "config.yaml": render_config(options),
            "dataset_info.json": info_text({**train.entries, **validation.entries}),
            "finish.json": _json(_finish(job, decided)),
        },
        copies={**train.copies, **validation.copies},
        notes=told(job.recipe, job.base, decided),
        tokens=token_parts(
            options,
            {**train.entries, **validation.entries},
            dict(zip([*train.names, *validation.names], [*job.train, *sets], strict=True)),
            environment,
        ),
        rank=decided.rank,
    )


def compile_show(job: TrainJob, environment: Environment, machine: Machine, count: int) -> Command:
    """Compile what shows the samples of a training stage, as the engine makes them."""
    command, root = compile_train(job, environment, machine), job.attempt.root.resolve()
    show = [str(_WORKER / "show.py"), str(root / "config.yaml"), str(count)]
    argv = [str(environment.python), *show, str(job.attempt.samples.resolve())]
    return replace(command, argv=argv)


def compile_base(job: BaseJob, environment: Environment, machine: Machine) -> Command:
    """Compile the making of a base from scratch."""
    spec, root = job.recipe.spec, job.attempt.root.resolve()
    copies: dict[str, DataSet] = {}
    texts = []
    for position, data in enumerate(job.texts):
        path, columns = data.path, data.columns
        if data.convert:
            relative = f"data/texts-{position}.jsonl"
            copies[relative] = data
            path, columns = root / relative, {column: column for column in data.columns}
        text = {"path": str(path), "layout": data.layout, "columns": columns}
        texts.append({**text, "limit": data.limit} if data.limit is not None else text)
    base = {
        "architecture": spec.architecture,
        **spec.tokenizer.model_dump(exclude={"texts"}),
        "dtype": spec.dtype,
        "seed": spec.seed,
        "texts": texts,
        "result": str(job.attempt.result.resolve()),
        "golden": list(job.golden),
        "golden_file": str(job.attempt.golden.resolve()),
        "phases": str(job.attempt.phases.resolve()),
    }
    return Command(
        argv=[str(environment.python), str(_WORKER / "make_base.py"), str(root / "base.json")],
        env=_environment(job.attempt, machine, 1),
        files={"base.json": _json(base)},
        copies=copies,
    )


def _identity(
    job: TrainJob, decided: Chain, train: DataFiles, validation: DataFiles
) -> dict[str, Any]:
    """The options that llmops owns: what is trained, on what, into where."""
    spec, root = job.recipe.spec, job.attempt.root.resolve()
    options: dict[str, Any] = {
        "stage": _STAGES[spec.stage],
        "model_name_or_path": str(job.base.directory.resolve()),
        **decided.options,
        "finetuning_type": spec.args.get("finetuning_type", "lora"),
        "dataset_dir": str(root),
        "dataset": ",".join(train.names),
    }
    if validation.names:
        options.update(eval_dataset=",".join(validation.names), do_eval=True)
    elif isinstance(job.validation, float):
        options.update(val_size=job.validation, do_eval=True)
    if spec.template is not None:
        options["template"] = spec.template
    if job.tokenized is not None:
        options["tokenized_path"] = str(job.tokenized.resolve())
    if job.resume is not None:
        options["resume_from_checkpoint"] = str(job.resume.resolve())
    return {**options, "output_dir": str(job.attempt.output.resolve())}


def _arguments(job: TrainJob) -> dict[str, Any]:
    """The recipe's own options: files as absolute paths, lists as the engine splits them."""
    arguments = dict(job.recipe.spec.args)
    for key in FILE_OPTIONS:
        found = option_file(job.recipe, key)
        if found is not None:
            arguments[key] = str(found)
    return arguments


def _check_chat(job: TrainJob) -> None:
    """Anything but plain text needs a chat template, and the engine would do without a word."""
    spec, directory = job.recipe.spec, job.base.directory
    if spec.stage == "cpt" or spec.template is not None or not directory.is_dir():
        return
    names = ("chat_template.jinja", "chat_template.json")
    config = directory / "tokenizer_config.json"
    if any((directory / name).is_file() for name in names) or not config.is_file():
        return
    if '"chat_template"' not in config.read_text(encoding="utf-8"):
        raise job.recipe.bad(
            "the base has no chat template",
            ("base",),
            fix="name one of the engine's under `template:`, or add a chat_template.jinja to it",
        )


def _finish(job: TrainJob, decided: Chain) -> dict[str, Any]:
    attempt, adapter, keep = job.attempt, decided.adapter, job.keep
    tokens = {"folder": str(keep.folder.resolve()), "spare": keep.spare} if keep else None
    return {
        "output": str(attempt.output.resolve()),
        "base": str(job.base.directory.resolve()),
        "adapter": str(adapter.resolve()) if adapter else None,
        "concatenate": decided.concatenate,
        "result": str(attempt.result.resolve()),
        "golden": list(job.golden),
        "golden_file": str(attempt.golden.resolve()),
        "dtype": _dtype(job),
        **{name: str(getattr(attempt, name).resolve()) for name in ("phases", "figures", "stop")},
        **({"tokens": tokens} if tokens else {}),
    }


def _dtype(job: TrainJob) -> str:
    """The type that a server will load the result in, so that log-probabilities compare."""
    if job.recipe.spec.args.get("bf16") or job.recipe.spec.args.get("pure_bf16"):
        return "bfloat16"
    config = read_object(job.base.directory / "config.json")
    named = (config.get("dtype"), config.get("torch_dtype"))
    return "bfloat16" if "bfloat16" in named else "float32"


def _argv(job: TrainJob, environment: Environment, root: Path) -> list[str]:
    devices = job.recipe.spec.resources.devices
    started = [str(_WORKER / "launcher.py")]
    if in_group(job.recipe.spec):
        port = str(_port(root))
        run = ["-m", "torch.distributed.run", "--nproc_per_node", str(devices)]
        started = [*run, "--master_port", port, *started]
    config, finish = str(root / "config.yaml"), str(root / "finish.json")
    return [str(environment.python), *started, "--config", config, "--finish", finish]


def _port(root: Path) -> int:
    """A port for the processes to meet on, different for each attempt: 20000 to 29999, below the
    range that systems hand out on their own."""
    return 20000 + int.from_bytes(sha256(str(root).encode()).digest()[:4]) % 10000


def _environment(attempt: AttemptPaths, machine: Machine, devices: int) -> dict[str, str]:
    """Additions to the environment. The engine's own switches are turned off, so that a stray
    variable of the user's does not change what a recipe means; proxies are left alone."""
    visible = machine.accelerators[:devices]
    return {
        "CUDA_VISIBLE_DEVICES": ",".join(visible),
        "HF_DATASETS_CACHE": str(attempt.datasets.resolve()),
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(max(1, machine.cores // devices)),
        # Threads that spin while they wait for each other stand still beside other work: on two
        # cores at a load of 9, 15 steps took 37 to 45 s spinning, 7 s without (docs/benchmarks.md).
        "OMP_WAIT_POLICY": "PASSIVE",
        # Empty is unset: without compiled modules every start takes many seconds more.
        "PYTHONDONTWRITEBYTECODE": "",
        # peft writes sets (target_modules): with one order the same adapter has the same bytes.
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "TENSORBOARD_LOGGING_DIR": str(attempt.tensorboard.resolve()),
        **dict.fromkeys(
            ("ALLOW_EXTRA_ARGS", "LLAMABOARD_ENABLED", "USE_MCA", "USE_RAY", "USE_V1"), "0"
        ),
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
