"""Where an option of a training config goes in a recipe, or why it goes nowhere."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmops.engines.llamafactory.importing.config import Config, Entry
from llmops.engines.llamafactory.options import OptionSet
from llmops.engines.llamafactory.owned import instead

Fate = Literal["head", "args", "left out", "lost"]

_HEAD = (
    "stage",
    "model_name_or_path",
    "model_revision",
    "template",
    "dataset",
    "dataset_dir",
    "eval_dataset",
    "val_size",
    "do_train",
)
"""What the recipe says above its `args`."""

_CHANGES = {
    "adapter_name_or_path": "add the adapter with `llmops models add NAME DIR --base BASE`, name "
    "it in `model_name_or_path`'s place and take this line out",
    "create_new_adapter": "llmops decides how to train on an adapter, by what `base:` is",
    "ref_model": "llmops chooses the reference model: the version that training starts from",
    "ref_model_adapters": "llmops chooses the reference model",
    "ref_model_quantization_bit": "llmops chooses the reference model",
    "reward_model": "PPO is not offered",
    "use_mca": "Megatron needs an environment that llmops does not build",
}
"""What no recipe carries and whose absence trains another model, and what to do."""

_SECRET = ("token", "secret", "api_key")

_RAY = dict.fromkeys(
    ("resources_per_worker", "placement_strategy"), "an executor places stages on a cluster"
)
"""Options of versions before."""


@dataclass
class Sorted:
    """args: (option, its lines) in their order; left_out, lost: `option: why`; todo: what a person
    should look at."""

    args: list[Entry] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    todo: list[str] = field(default_factory=list)


def sort_options(config: Config, known: OptionSet | None) -> Sorted:
    """known: the installed engine's options; None leaves the names unchecked."""
    _check(config)
    found = Sorted()
    above: tuple[str, ...] = ()
    for entry in config.entries:
        fate, why = fate_of(entry, known)
        if entry.key == "warmup_steps" and not entry.value and config.get("warmup_ratio"):
            fate, why = "left out", "`warmup_ratio` counts"
        if fate == "args":
            found.args.append(_renamed(entry, above))
            above = ()
            continue
        if fate != "head":
            (found.lost if fate == "lost" else found.left_out).append(f"`{entry.key}`: {why}")
            above += (*entry.above, *_remembered(entry))
    end = Entry("", None, above + config.below, ())
    found.args += [end] if end.above else []
    if config.get("deepspeed") or config.get("fsdp"):
        found.todo.append("the config says nothing of devices: `resources: {devices: N}`")
    return found


def _check(config: Config) -> None:
    """Of two that set the same, it depends on the version which one counts."""
    for one, other in (("eval_dataset", "val_size"), ("warmup_steps", "warmup_ratio")):
        if config.get(one) and config.get(other):
            raise config.bad(
                f"`{one}` and `{other}` are both set, and one counts", other, fix="leave one out"
            )


def fate_of(entry: Entry, known: OptionSet | None) -> tuple[Fate, str]:
    """Where an option goes, and why it does not go on."""
    key, value = entry.key, entry.value
    if key == "val_size" and value and not (isinstance(value, float) and 0 < value < 1):
        return "lost", "no share of the samples: write a share such as 0.1, or `eval_dataset`"
    if key in _HEAD:
        return "head", ""
    if key in _CHANGES:
        return ("lost", _CHANGES[key]) if value else ("left out", "it says nothing")
    if key == "warmup_ratio":
        return ("args", "") if value is not None else ("left out", "it says nothing")
    why = instead(key) or _RAY.get(key)
    if why is not None:
        return "left out", why
    if known is not None and key not in known.options:
        return "lost", "this version of LLaMA-Factory has no such option"
    return "args", ""


def _renamed(entry: Entry, above: tuple[str, ...]) -> Entry:
    """With what was above options that went; `warmup_ratio` as transformers 5 calls it."""
    lines = entry.lines
    if entry.key == "warmup_ratio":
        lines = (re.sub(r"^(\W*)warmup_ratio", r"\1warmup_steps", lines[0]), *lines[1:])
    return Entry(entry.key, entry.value, above + entry.above, lines, entry.behind)


def _remembered(entry: Entry) -> tuple[str, ...]:
    """An option that somebody remarked on stays to be read, a secret does not."""
    if any(word in entry.key for word in _SECRET):
        return (f"# {entry.key}  {entry.behind}",) if entry.behind else ()
    if entry.behind or entry.inside:
        return tuple(f"# {line}" for line in entry.lines)
    return ()


def base_of(config: Config) -> str:
    """The reference to the model that it starts from."""
    name = str(config.get("model_name_or_path"))
    if Path(name).exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return f"path:{name}"
    revision: Any = config.get("model_revision")
    return f"hub:{name}@{revision}" if revision else f"hub:{name}"
