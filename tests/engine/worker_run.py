"""Tiny trainings with the workers alone: the files that they are given, and what they leave.

Not a test. The engine's environment runs the scripts by path, as the control plane does.
"""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llmops.engines.llamafactory as engine
from llmops.engines.contract import Environment

WORKER = Path(engine.__file__).parent / "worker"
QUESTIONS = [f"What is the number after {n}?" for n in range(8)]
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


@dataclass(frozen=True)
class Attempt:
    """A directory in which a worker runs, with what it is to be given."""

    root: Path
    base: Path

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def result(self) -> Path:
        return self.root / "result"

    def golden(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = json.loads((self.root / "golden.json").read_text())
        return entries

    def phases(self) -> list[str]:
        lines = (self.root / "phases.jsonl").read_text().splitlines()
        return [json.loads(line)["phase"] for line in lines]

    def losses(self) -> list[float]:
        lines = (self.output / "trainer_log.jsonl").read_text().splitlines()
        return [row["loss"] for row in map(json.loads, lines) if "loss" in row]

    def write(self, options: Mapping[str, Any], finish: Mapping[str, Any] = {}) -> list[str]:
        """The worker's arguments, after writing the files that they name."""
        write_data(self.root)
        chosen = {"output": str(self.output), "base": str(self.base), "adapter": None}
        chosen |= {"concatenate": False, "result": str(self.result), "dtype": "float32"}
        chosen |= {"golden": [[{"role": "user", "content": QUESTIONS[0]}], "The number"]}
        chosen |= {name: str(self.root / file) for name, file in _LEFT.items()}
        (self.root / "config.yaml").write_text(json.dumps(self.config(options)))
        (self.root / "finish.json").write_text(json.dumps({**chosen, **finish}))
        return ["--config", "config.yaml", "--finish", "finish.json"]

    def config(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """JSON is YAML too, but only under that name does the engine read it."""
        return {
            "model_name_or_path": str(self.base),
            "dataset_dir": str(self.root),
            "output_dir": str(self.output),
            "do_train": True,
            "use_cpu": True,
            "disable_gradient_checkpointing": True,
            "report_to": "none",
            "logging_steps": 1,
            "save_strategy": "no",
            "cutoff_len": 64,
            "preprocessing_num_workers": 1,
            "lr_scheduler_type": "constant",
            **options,
        }


_LEFT = {"golden_file": "golden.json", "phases": "phases.jsonl"}

SFT = {
    "stage": "sft",
    "dataset": "chat",
    "finetuning_type": "lora",
    "lora_rank": 4,
    "lora_target": "all",
    "per_device_train_batch_size": 4,
    "max_steps": 6,
    "learning_rate": 0.05,
}
DPO = {
    **SFT,
    "stage": "dpo",
    "dataset": "pairs",
    "lora_rank": 2,
    "lora_alpha": 8,
    "lora_target": "q_proj,down_proj",
    "create_new_adapter": True,
    "max_steps": 3,
    "learning_rate": 0.02,
}


def write_data(root: Path) -> None:
    """Chats and preference pairs, with the dataset_info.json that names them."""
    root.mkdir(parents=True, exist_ok=True)
    chats, pairs = [], []
    for number, question in enumerate(QUESTIONS):
        asked = {"role": "user", "content": question}
        answer = {"role": "assistant", "content": f"It is {number + 1}."}
        other = {"role": "assistant", "content": "I would rather not say."}
        chats.append({"messages": [asked, answer]})
        pairs.append({"messages": [asked], "chosen": other, "rejected": answer})
    common = {"formatting": "sharegpt", "tags": _TAGS}
    ranked = {"messages": "messages", "chosen": "chosen", "rejected": "rejected"}
    info = {
        "chat": {"file_name": "chat.jsonl", "columns": {"messages": "messages"}, **common},
        "pairs": {"file_name": "pairs.jsonl", "ranking": True, "columns": ranked, **common},
    }
    (root / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chats))
    (root / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs))
    (root / "dataset_info.json").write_text(json.dumps(info))


def run(
    environment: Environment, argv: Sequence[str], cwd: Path, *, expect: int = 0, **env: str
) -> str:
    """Run a Python command line in the engine's environment; what it said."""
    done = subprocess.run(
        [str(environment.python), *argv],
        cwd=cwd,
        env={**ENV, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert done.returncode == expect, done.stdout[-4000:]
    return done.stdout
