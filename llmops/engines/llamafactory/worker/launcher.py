"""LLaMA-Factory's training, started by path with the engine environment's own Python.

    PYTHON launcher.py --config config.yaml [--finish finish.json]
    PYTHON -m torch.distributed.run --nproc_per_node N ... launcher.py --config ... --finish ...

`finish.json` says what to make of the output when training has completed: the files to register,
concatenated with the adapter that it was trained on where asked, and the golden prompts, from
those files as a server will load them. Standard library, the engine, and the scripts beside this
one; llmops is not installed here. Exit codes: 0 all of it, 143 stopped early by SIGTERM, 1 failed.
"""

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from golden import write_golden
from phases import Phases, leave
from result import is_adapter, make_result
from trained import CHAT_STAGES, different, encoder

if TYPE_CHECKING:
    from observer import Observer


def main() -> None:
    parser = argparse.ArgumentParser(description="Train with LLaMA-Factory, then finish.")
    parser.add_argument("--config", required=True)
    parser.add_argument("--finish")
    options = parser.parse_args()
    finish: dict[str, Any] = {}
    if options.finish:
        with open(options.finish, encoding="utf-8") as file:
            finish = json.load(file)
    phases = Phases(finish.get("phases"))
    phases.enter("starting")
    die_with_torchrun()
    use_one_device()
    stand_in_for_torchaudio()
    load_onto_numbered_cpus()
    config = read_config(options.config)
    warn_of_template(config, finish, phases)
    observer = train(options.config, finish, phases)
    if os.environ.get("RANK", "0") != "0":
        return  # the first process saves the state that tells, perhaps after this one is through
    if finish:
        check_completed(finish["output"], config, observer)
        release_memory()
        complete(finish, config, phases)
    elif observer.terminated:
        sys.exit(143)
    phases.enter("done")
    if finish:
        leave()


def die_with_torchrun() -> None:
    """torchrun puts its workers into sessions of their own, out of reach of a signal to the group:
    end with it, on Linux, even when it is killed."""
    if "LOCAL_RANK" in os.environ and sys.platform == "linux":
        import ctypes
        import signal

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


def use_one_device() -> None:
    """A process on its own trains on one device, however many the machine has: the engine would
    start torchrun from PATH otherwise, and stages say how many they take."""
    if "LOCAL_RANK" not in os.environ:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[0]


def stand_in_for_torchaudio() -> None:
    """The engine imports torchaudio for audio alone, and the CPU build has none that works.

    transformers must have seen that it is absent, or it would take the empty module for the real.
    """
    from importlib.machinery import ModuleSpec
    from importlib.util import find_spec
    from types import ModuleType

    from transformers.utils import is_torchaudio_available

    if find_spec("torchaudio") is None and not is_torchaudio_available():
        module = ModuleType("torchaudio")
        module.__spec__ = ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = module


def train(config: str, finish: dict[str, Any], phases: Phases) -> "Observer":
    """Train in this process; what was seen of it.

    `run_exp` is what `llamafactory-cli train` and its torchrun child both call. Called here, no
    second launcher comes between, and no unknown command is taken for success.
    """
    from llamafactory.train.tuner import run_exp
    from observer import Observer, beta
    from tokenized import keep

    figures, stop = finish.get("figures"), finish.get("stop")
    observer = Observer(phases, figures, stop, beta(read_config(config)))
    if "tokens" in finish:
        keep(finish["tokens"], phases)
    take_no_step_more()
    sys.argv = [sys.argv[0], config]
    run_exp(callbacks=[observer])
    return observer


def take_no_step_more() -> None:
    """Going on from a checkpoint of the last step, the trainer would take another before it looks
    whether it is at its end. It is given no samples there, and so saves what it has read."""
    from transformers import Trainer

    samples = Trainer.get_batch_samples

    def until_the_end(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step < self.state.max_steps:
            return samples(self, *args, **kwargs)
        self.control.should_training_stop = True
        return [], None

    Trainer.get_batch_samples = until_the_end


def load_onto_numbered_cpus() -> None:
    """Of several processes on CPUs transformers loads each one's checkpoint onto `cpu:N`, a place
    that torch does not know: none of them could go on from one."""
    if "LOCAL_RANK" not in os.environ:
        return
    from torch.serialization import register_package

    def restore(storage: Any, location: str) -> Any:
        return storage if location.startswith("cpu:") else None

    register_package(5, lambda storage: None, restore)


def read_config(path: str) -> dict[str, Any]:
    import yaml

    with open(path, encoding="utf-8") as file:
        config: dict[str, Any] = yaml.safe_load(file)
    return config


def warn_of_template(config: dict[str, Any], finish: dict[str, Any], phases: Phases) -> None:
    """Before training, when the engine makes other tokens of a chat than a server will."""
    if not finish or config["stage"] not in CHAT_STAGES:
        return
    adapter = config.get("finetuning_type", "lora") == "lora"
    told = different(config, finish["base"], finish["golden"], keeps_tokenizer=adapter)
    if told is not None:
        phases.warn(told)


def check_completed(output: str, config: dict[str, Any], observer: "Observer") -> None:
    """Leave unless training reached its end: after SIGTERM the engine may save a checkpoint and
    return as if it had. Early stopping is an end too, where the config asks for it or the control
    plane did, and there is a best checkpoint, which is what was saved then."""
    try:
        with open(os.path.join(output, "trainer_state.json"), encoding="utf-8") as file:
            state = json.load(file)
    except FileNotFoundError:
        sys.exit(f"error: training ended without trainer_state.json in {output}")
    step, total = state["global_step"], state["max_steps"]
    if step < total and observer.asked and not state.get("best_model_checkpoint"):
        sys.exit(f"error: training was stopped at step {step}, before it was first evaluated")
    may_stop = observer.asked or config.get("early_stopping_steps") is not None
    if step < total and (observer.terminated or not may_stop):
        # A signal that came while the data was prepared ends training too, unseen by the observer.
        print(f"stopped at step {step} of {total}; not finished", file=sys.stderr)
        sys.exit(143)


def release_memory() -> None:
    """Give back what the trainer held, and let the next model load whole."""
    import gc

    import torch
    from transformers.integrations import unset_hf_deepspeed_config

    # Under ZeRO-3 every model that is loaded afterwards would be partitioned.
    unset_hf_deepspeed_config()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def complete(finish: dict[str, Any], config: dict[str, Any], phases: Phases) -> None:
    """The files to register and their golden prompts, as finish.json says."""
    from concatenate import Refused
    from result import Incomplete

    result, adapter = finish["result"], is_adapter(finish["output"])
    try:
        previous = finish["adapter"] if finish["concatenate"] else None
        make_result(finish["output"], result, previous)
    except (Incomplete, Refused) as error:
        sys.exit(f"error: {error}")
    phases.enter("checking")
    model = finish["base"] if adapter else result
    chats = config["stage"] in CHAT_STAGES
    write_golden(
        model,
        result if adapter else None,
        finish["golden"],
        finish["dtype"],
        finish["golden_file"],
        encoder(config, model)[0] if chats else None,
    )


if __name__ == "__main__":
    main()
