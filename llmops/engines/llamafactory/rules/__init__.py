"""What the engine refuses late, or does differently from what was asked: one function a rule.

A rule looks at a Case and raises BadInput at the first thing that will not do. The conditions are
those of LLaMA-Factory's hparams/parser.py and *_args.py, of its trainers and model loading, and of
transformers' training_args.py and trainer.py. A new rule is a function in the file of its noun and
a line in RULES.
"""

from llmops.engines.llamafactory.rules import (
    evaluation,
    machine,
    method,
    optimizers,
    parallel,
    samples,
    schedule,
    together,
    words,
)
from llmops.engines.llamafactory.rules.ranges import in_range

RULES = (
    in_range,
    together.exclusive,
    together.without_effect,
    method.preference_loss,
    method.label_smoothing,
    method.not_for_method,
    method.reference_with_new_tokens,
    method.reference_of_asft,
    optimizers.optimizer,
    optimizers.optimizer_arguments,
    machine.quantization,
    machine.of_gpus,
    machine.attention,
    machine.packages,
    machine.devices,
    samples.streaming,
    samples.by_length,
    samples.mixing,
    samples.flash_packing,
    evaluation.has_data,
    evaluation.best_model,
    evaluation.metric,
    evaluation.measured_together,
    evaluation.early_stopping,
    schedule.deprecated,
    schedule.steps,
    schedule.scheduler,
    schedule.workers,
    words.listed,
    words.accumulation,
    parallel.sharding,
    parallel.deepspeed,
    parallel.layerwise,
)
