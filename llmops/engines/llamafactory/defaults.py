"""What llmops sets where the recipe is silent, and why.

logging_steps                   about 50 lines of progress at least: 5, or less for short runs
logging_first_step              the first loss is evidence (DPO starts at ln 2)
include_num_input_tokens_seen   throughput appears in the engine's log; with neat_packing of all
                                tokens, since its mask, which is summed up else, is not of ones
disable_tqdm                    the log is for reading; progress has a file of its own
logging_nan_inf_filter: false   a loss that is no number is to be seen; the engine would show zero
save_strategy: no               the final model is saved anyway; with `save_steps` a
                                later attempt goes on from the last checkpoint
save_strategy: best, ...        where `watch:` may stop it: the best checkpoint, which is kept then
disable_gradient_checkpointing  for models below 200 MB, where recomputing costs more than memory
ddp_backend: gloo               several processes without accelerators
optim: adamw_torch              for GaLore and APOLLO, which know no fused one

Set always, because llmops owns them: use_cpu where there is no accelerator (bf16 needs it too),
report_to (TensorBoard if installed), overwrite_cache, do_train, do_eval, output_dir.
"""

from pathlib import Path
from typing import Any

from llmops.engines.contract import Environment, TrainJob
from llmops.engines.llamafactory.machine import Machine
from llmops.engines.llamafactory.watch import BEST, SAVING
from llmops.spec.recipe import TrainRecipe

SMALL_BYTES = 200_000_000


def default_options(job: TrainJob, machine: Machine) -> dict[str, Any]:
    """Defaults for what the recipe does not say."""
    args = job.recipe.spec.args
    options: dict[str, Any] = {
        "logging_steps": logging_steps(args.get("max_steps", -1)),
        "logging_first_step": True,
        "include_num_input_tokens_seen": "all" if args.get("neat_packing") else "non_padding",
        "disable_tqdm": True,
        "logging_nan_inf_filter": False,
    }
    if not SAVING & args.keys():
        stops = job.recipe.spec.watch.stops
        options.update(BEST if stops else {"save_strategy": "no"})
    if _is_small(job.base.directory):
        options["disable_gradient_checkpointing"] = True
    if machine.cpu_only and in_group(job.recipe.spec):
        options["ddp_backend"] = "gloo"
    if args.get("use_galore") or args.get("use_apollo"):
        options["optim"] = "adamw_torch"
    return {key: value for key, value in options.items() if key not in args}


def in_group(recipe: TrainRecipe) -> bool:
    """Whether torchrun starts it: DeepSpeed and FSDP want a process group, also of one."""
    return recipe.resources.devices > 1 or any(map(recipe.args.get, ("deepspeed", "fsdp")))


def owned_options(environment: Environment, machine: Machine) -> dict[str, Any]:
    """What holds for every training run."""
    tensorboard = (environment.site / "tensorboard").is_dir()
    options: dict[str, Any] = {
        "do_train": True,
        "report_to": "tensorboard" if tensorboard else "none",
        "overwrite_cache": True,
    }
    return {**options, "use_cpu": True} if machine.cpu_only else options


def logging_steps(max_steps: int) -> int:
    """What is set where a recipe is silent."""
    return 5 if max_steps <= 0 else max(1, min(5, max_steps // 50))


def _is_small(directory: Path) -> bool:
    """Whether the model is known to be small; a base that is yet to be made is not known."""
    sizes = [path.stat().st_size for path in directory.glob("*.safetensors")]
    return bool(sizes) and sum(sizes) < SMALL_BYTES
