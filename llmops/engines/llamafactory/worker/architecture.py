"""A transformers config from a recipe's `architecture`, checked key by key.

Imported by make_base.py. transformers takes any key, and a misspelt one would silently do nothing.
"""

import dataclasses
import inspect
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

# The names from before transformers 5, which its configs still read.
_FORMER = ("rope_theta", "rope_scaling", "partial_rotary_factor")
_DERIVED = {
    "vocab_size": "it is the number of tokens of the tokenizer",
    "dtype": "it is a key of the recipe",
    "torch_dtype": "`dtype` is a key of the recipe",
}


class BadArchitecture(Exception):
    """A key or value that does not describe a model. The text names the key."""


def make_config(architecture: dict[str, Any], **derived: Any) -> Any:
    """The config of `architecture`'s model_type with `derived` (vocab_size, token ids) set."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    options = dict(architecture)
    kind = options.pop("model_type", None)
    if kind is None:
        raise BadArchitecture("architecture.model_type: missing; `qwen2` and `llama` are common")
    if kind not in CONFIG_MAPPING:
        raise BadArchitecture(
            f"architecture.model_type: `{kind}` is unknown{_meant(str(kind), CONFIG_MAPPING)}"
        )
    config_class = CONFIG_MAPPING[kind]
    if config_class not in AutoModelForCausalLM._model_mapping:
        raise BadArchitecture(f"architecture.model_type: `{kind}` is not a text-generating model")
    known = _known(config_class)
    for key in options:
        if key in _DERIVED:
            raise BadArchitecture(f"architecture.{key}: is not given here, {_DERIVED[key]}")
        if key not in known:
            raise BadArchitecture(f"architecture.{key}: unknown to `{kind}`{_meant(key, known)}")
    try:
        return AutoConfig.for_model(kind, **options, **derived)
    except Exception as error:  # the config's own checks raise what they like
        raise BadArchitecture(f"architecture: {_one_line(error)}") from error


def make_model(config: Any, seed: int, dtype: str) -> Any:
    """A model with random weights from `seed`, drawn in float32 whatever `dtype` it ends in."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    try:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        with torch.inference_mode():
            model.eval()(input_ids=torch.tensor([[0, 1, 2]]))
    except (
        Exception
    ) as error:  # sizes that do not fit together surface anywhere, some only when it runs
        raise BadArchitecture(f"architecture: {_one_line(error)}") from error
    return model.to(getattr(torch, dtype))


def _known(config_class: Any) -> set[str]:
    names = set(config_class.attribute_map) | set(_FORMER)
    if dataclasses.is_dataclass(config_class):
        return names | {field.name for field in dataclasses.fields(config_class)}
    return names | set(inspect.signature(config_class.__init__).parameters)


def _meant(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
