"""Estimated against measured peaks of memory: what `llmops plan` says a stage needs, and VmHWM.

    python benchmarks/memory.py FOLDER [CASE...]

Models from scratch, large enough that they stand out beside the framework, are trained for a few
steps by the real engine with the command that the plan compiled (without what follows training);
the kernel's high-water mark of that process is its peak. On a CPU: no GPU is measured here. FOLDER
keeps the project and what was measured, so that a changed formula is compared in seconds.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

STEPS = 3
MAPPED = {"MALLOC_MMAP_THRESHOLD_": "262144"}
"""glibc keeps the memory of freed tensors below 32 MB, in pieces that do not fit the next ones.
With this each is given back at once: what is alive, as a GPU's allocator would count it."""
VOCABULARY = 16_000
SIZES = {
    "small": (512, 1408, 8, 8, 8),
    "large": (1024, 2816, 10, 16, 4),
    "other": (768, 2048, 6, 12, 2),
}
"""hidden, intermediate, layers, heads, key-value heads: 34, 129 and 49 million parameters. What was
measured of the first two set the constants of the formula; the third was measured afterwards."""
FULL, LORA = "args.finetuning_type=full", "args.finetuning_type=lora"
KEPT, AGAIN = (
    "args.disable_gradient_checkpointing=true",
    "args.disable_gradient_checkpointing=false",
)
EVALUATED = ("data.validation=0.1", "args.per_device_eval_batch_size=24")
CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # name: size, stage, overrides; batch and cutoff_len as sequences x tokens
    "full 1x512": ("small", "cpt", (FULL, KEPT, "1x512")),
    "full 8x512": ("small", "cpt", (FULL, KEPT, "8x512")),
    "full 8x512, checkpointing": ("small", "cpt", (FULL, AGAIN, "8x512")),
    "full 8x512, bf16": ("small", "cpt", (FULL, KEPT, "8x512", "args.bf16=true")),
    "full 8x512, bf16, checkpointing": ("small", "cpt", (FULL, AGAIN, "8x512", "args.bf16=true")),
    "full 1x256": ("large", "cpt", (FULL, KEPT, "1x256")),
    "full 1x256, accumulated twice": (
        "large",
        "cpt",
        (FULL, KEPT, "1x256", "args.gradient_accumulation_steps=2"),
    ),
    "full 1x256, adafactor": ("large", "cpt", (FULL, KEPT, "1x256", "args.optim=adafactor")),
    "full 8x256": ("large", "cpt", (FULL, KEPT, "8x256")),
    "full 8x256, checkpointing": ("large", "cpt", (FULL, AGAIN, "8x256")),
    "LoRA 8x512": ("small", "cpt", (LORA, KEPT, "8x512")),
    "LoRA 1x256": ("large", "cpt", (LORA, KEPT, "1x256")),
    "LoRA 8x256": ("large", "cpt", (LORA, KEPT, "8x256")),
    "LoRA 8x256, checkpointing": ("large", "cpt", (LORA, AGAIN, "8x256")),
    "LoRA 8x256, bf16": ("large", "cpt", (LORA, KEPT, "8x256", "args.bf16=true")),
    "DPO full 2x512": ("small", "dpo", (FULL, KEPT, "2x512")),
    "DPO LoRA 2x512": ("small", "dpo", (LORA, KEPT, "2x512")),
    "DPO LoRA 2x512, checkpointing": ("small", "dpo", (LORA, AGAIN, "2x512")),
    "full 4x384": ("other", "cpt", (FULL, KEPT, "4x384")),
    "full 4x384, bf16": ("other", "cpt", (FULL, KEPT, "4x384", "args.bf16=true")),
    "LoRA 12x256": ("other", "cpt", (LORA, KEPT, "12x256", "args.lora_rank=32")),
    "LoRA 12x256, bf16, checkpointing": (
        "other",
        "cpt",
        (LORA, AGAIN, "12x256", "args.bf16=true"),
    ),
    "DPO full 3x384, checkpointing": ("other", "dpo", (FULL, AGAIN, "3x384")),
    "DPO LoRA 3x384, bf16": ("other", "dpo", (LORA, KEPT, "3x384", "args.bf16=true")),
    "ORPO full 3x384": ("other", "dpo", (FULL, KEPT, "3x384", "args.pref_loss=orpo")),
    "KTO LoRA 6x384": ("other", "kto", (LORA, KEPT, "6x384")),
    "RM LoRA 3x384, bf16": ("other", "rm", (LORA, KEPT, "3x384", "args.bf16=true")),
    "LoRA 1x384, 24 evaluated": ("other", "cpt", (LORA, KEPT, "1x384", *EVALUATED)),
    "LoRA 1x384, 24 evaluated, bf16": (
        "other",
        "cpt",
        (LORA, KEPT, "1x384", "args.bf16=true", *EVALUATED),
    ),
}
RECIPE = {
    "kind": "train",
    "args": {
        "max_steps": STEPS,
        "warmup_steps": 0,
        "gradient_accumulation_steps": 1,
        "preprocessing_num_workers": 1,
    },
    "output": {"model": "measured"},
}


class Memory:
    """A project of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.file = folder / "measured.json"
        self.measured: dict[str, int] = (
            json.loads(self.file.read_text()) if self.file.is_file() else {}
        )

    def prepare(self) -> None:
        """The data, the recipes, and the models that are not made yet."""
        (self.project / "data").mkdir(parents=True, exist_ok=True)
        (self.project / "llmops.toml").touch()
        self._data()
        for name, (hidden, inner, layers, heads, few) in SIZES.items():
            architecture = {
                "model_type": "qwen2",
                "hidden_size": hidden,
                "intermediate_size": inner,
                "num_hidden_layers": layers,
                "num_attention_heads": heads,
                "num_key_value_heads": few,
                "tie_word_embeddings": True,
            }
            tokenizer = {"vocab_size": VOCABULARY, "texts": ["path:data/cpt.jsonl"]}
            base = {"kind": "base", "architecture": architecture, "tokenizer": tokenizer}
            self._write(f"base-{name}.yaml", {**base, "output": {"model": f"base-{name}"}})
            self._llmops("run", f"base-{name}.yaml")
        for stage, file in (("cpt", "cpt"), ("dpo", "dpo"), ("rm", "dpo"), ("kto", "kto")):
            data = {"train": [f"path:data/{file}.jsonl"]}
            self._write(
                f"{stage}.yaml", {**RECIPE, "stage": stage, "base": "base-small:v1", "data": data}
            )

    def planned(self, case: str) -> dict[str, Any]:
        """What the plan says of a case: the stage as `llmops plan --json` describes it."""
        size, stage, overrides = CASES[case]
        batch, _, cutoff = overrides[2].partition("x")
        given = [f"args.per_device_train_batch_size={batch}", f"args.cutoff_len={cutoff}"]
        given += [f"base=base-{size}:v1", *overrides[:2], *overrides[3:]]
        shown = json.loads(self._llmops("plan", f"{stage}.yaml", *given, "--json", "--force"))
        found: dict[str, Any] = shown["stages"][-1]
        return found

    def peak(self, case: str, command: dict[str, Any], **env: str) -> int:
        """Bytes: the high-water mark of the engine's process, with `env` beside its own."""
        name = " ".join([case, *env])
        if name not in self.measured:
            argv = command["argv"]
            argv = argv[: argv.index("--finish")]
            root = Path(argv[-1]).parent
            shutil.rmtree(root, ignore_errors=True)
            for file, text in command["files"].items():
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                (root / file).write_text(text, encoding="utf-8")
            with (root / "log").open("w") as log:
                started = subprocess.Popen(
                    argv,
                    cwd=root,
                    env={**os.environ, **command["env"], **env},
                    stdout=log,
                    stderr=log,
                )
                _, status, usage = os.wait4(started.pid, 0)
            if status:
                raise SystemExit(f"{case} failed:\n{(root / 'log').read_text()[-3000:]}")
            self.measured[name] = usage.ru_maxrss * 1024
            self.file.write_text(json.dumps(self.measured, indent=1), encoding="utf-8")
        return self.measured[name]

    def _data(self) -> None:
        """Texts and answers of made-up words, each longer than any cutoff."""
        draw = random.Random(1)
        parts = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
        words = ["".join(draw.choices(parts, k=draw.randint(2, 4))) for _ in range(20_000)]

        def text() -> str:
            return " ".join(draw.choices(words, k=700))

        texts = [{"text": text()} for _ in range(600)]
        pairs = [
            {
                "messages": [{"role": "user", "content": "?"}],
                "chosen": {"role": "assistant", "content": text()},
                "rejected": {"role": "assistant", "content": text()},
            }
            for _ in range(16)
        ]
        answers = [
            {"messages": [*pair["messages"], pair["chosen"]], "label": number % 2 == 0}
            for number, pair in enumerate(pairs)
        ]
        for name, rows in (("cpt", texts), ("dpo", pairs), ("kto", answers)):
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (self.project / "data" / f"{name}.jsonl").write_text(lines, encoding="utf-8")

    def _write(self, name: str, value: dict[str, Any]) -> None:
        # JSON is YAML.
        (self.project / name).write_text(json.dumps(value), encoding="utf-8")

    def _llmops(self, *args: str) -> str:
        argv = [sys.executable, "-m", "llmops", *args]
        done = subprocess.run(argv, cwd=self.project, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout


def main(folder: Path, *names: str) -> None:
    memory = Memory(folder)
    memory.prepare()
    errors: dict[str, list[float]] = {}
    print("| model | training | alive, estimated | measured | | all, estimated | measured | |")
    print("|" + " --- |" * 8)
    for case in names or CASES:
        size = CASES[case][0]
        planned = memory.planned(case)
        estimated = planned["estimate"]["memory_bytes"]
        alive = estimated - planned["estimate"]["memory"].get("allocator", 0)
        shown = [size, case]
        for what, env, said in (("alive", MAPPED, alive), ("all", {}, estimated)):
            measured = memory.peak(case, planned["command"], **env)
            error = said / measured - 1
            name = f"{what}, {'afterwards' if size == 'other' else 'at first'}"
            errors.setdefault(name, []).append(error)
            shown += [f"{said / 1e9:.2f} GB", f"{measured / 1e9:.2f} GB", f"{error:+.0%}"]
        print(f"| {' | '.join(shown)} |", flush=True)
    print()
    for name, found in errors.items():
        middle = statistics.median(map(abs, found))
        print(f"{name}: median error {middle:.0%}, from {min(found):+.0%} to {max(found):+.0%}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *sys.argv[2:])
