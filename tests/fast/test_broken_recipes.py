"""Every recipe of the table is refused by its plan, with file, line, key and reason."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from llmops.engines.contract import Environment
from llmops.engines.llamafactory.options import _mark
from llmops.errors import BadInput
from llmops.runner.plan import Plan, make_plan
from llmops.runner.stage import Context
from llmops.spec.settings import Settings
from llmops.stages.catalog import KINDS
from tests.broken import EVAL, SHARE, Broken
from tests.broken_recipes import BROKEN
from tests.fast.models_on_disk import write_full
from tests.training_jobs import LAYOUT_ROWS, bare_environment, train_recipe, write_rows

OPTIONS = Path(__file__).parent / "golden" / "llamafactory-0.9.5-options.json"
LAYOUTS = {"cpt": "text", "sft": "messages", "dpo": "preference", "kto": "kto", "rm": "preference"}


class Installed(Context):
    """A context in which the engine is installed, as far as a plan looks."""

    def environment(self, engine: str) -> Environment:
        site = self.settings.root / "environment" / "site-packages"
        return Environment(engine, "0.9.5", site / "python", site)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    (root / "llmops.toml").touch()
    base = write_full(root / "base")
    (base / "chat_template.jinja").touch()
    environment = bare_environment(root)
    for stage, layout in LAYOUTS.items():
        write_rows(root / f"{stage}.jsonl", LAYOUT_ROWS[layout][2])
    name = f"llamafactory-0.9.5-{_mark(environment)}.json"
    options = Context(Settings(root=root, cache=root / "cache")).cache.options
    options.mkdir(parents=True)
    shutil.copyfile(OPTIONS, options / name)
    return root


def plan(project: Path, stage: str, args: dict[str, Any], gpus: int = 0, **more: Any) -> Plan:
    data = Path(f"{stage}.jsonl")
    recipe = train_recipe(project, stage, args, data=data, **more)
    settings = Settings(root=project, cache=project / "cache")
    context = Installed(settings, gpus=gpus or None)
    return make_plan(recipe.path, (), context=context, kinds=KINDS)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda b: f"{b.stage}-{'-'.join(b.args)}")
def test_refused_by_the_plan(broken: Broken, project: Path) -> None:
    with pytest.raises(BadInput) as caught:
        plan(project, broken.stage, broken.args, broken.gpus, **broken.more)
    error = caught.value
    assert broken.says in f"{error.what} {error.fix}"
    assert error.where.startswith(f"{project / broken.stage}.yaml:")


@pytest.mark.parametrize("stage", LAYOUTS)
def test_good_recipe_is_planned(stage: str, project: Path) -> None:
    (planned,) = plan(project, stage, {"lora_rank": 8, "learning_rate": 1e-4}).stages
    assert planned.prepared.command is not None


def test_the_plan_says_what_it_starts_from_and_makes(project: Path) -> None:
    (planned,) = plan(project, "dpo", {"lora_rank": 4}).stages
    assert planned.prepared.notes[:3] == (
        "starts from path:base, which stays as it is; a new adapter of rank 4 is trained on it",
        "reference model: path:base, by switching the new adapter off",
        "makes the next version of town: an adapter of rank 4 on the same base",
    )


@pytest.mark.parametrize(
    ("args", "more"),
    [
        ({**EVAL, "load_best_model_at_end": True, "save_steps": 20}, SHARE),
        ({**EVAL, "early_stopping_steps": 2, "metric_for_best_model": "loss"}, SHARE),
        ({"finetuning_type": "full", "use_galore": True}, {}),
        ({"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}}, {}),
        ({"pref_loss": "sigmoid", "pref_beta": 0.1, "pref_ftx": 0.0}, {}),
        ({"neat_packing": True, "packing": True, "mask_history": True}, {}),
        ({"warmup_steps": 0.1, "save_steps": 0.5}, {}),
        ({"lr_scheduler_type": "warmup_stable_decay"}, {}),
        ({"deepspeed": {"gradient_accumulation_steps": "auto"}}, {}),
    ],
)
def test_what_the_engine_accepts(args: dict[str, Any], more: Any, project: Path) -> None:
    assert plan(project, "sft", args, **more).stages


@pytest.mark.parametrize(
    ("stage", "named", "there"),
    [
        ("dpo", "rewards/accuracies", True),
        ("dpo", "eval_rewards/margins", True),
        ("kto", "rewards/margins", True),
        ("kto", "rewards/accuracies", False),
        ("dpo", "odds_ratio_loss", False),
        ("rm", "accuracy", True),
        ("dpo", "accuracy", False),
    ],
)
def test_what_a_stage_measures(stage: str, named: str, there: bool, project: Path) -> None:
    args = {**EVAL, "metric_for_best_model": named}
    if there:
        assert plan(project, stage, args, **SHARE).stages
        return
    with pytest.raises(BadInput, match=f"measures no `{named}`"):
        plan(project, stage, args, **SHARE)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"lora_target": "q_prj"}, "did you mean `q_proj`"),
        ({"lora_target": ["q_proj", "w_pack"]}, "the base has no module `w_pack`"),
        ({"finetuning_type": "freeze", "freeze_extra_modules": "embd"}, "no module `embd`"),
        ({"finetuning_type": "freeze", "freeze_trainable_modules": "atn"}, "no module `atn`"),
    ],
)
def test_module_that_the_base_lacks(args: dict[str, Any], says: str, project: Path) -> None:
    with pytest.raises(BadInput) as caught:
        plan(project, "sft", args)
    assert says in f"{caught.value.what} {caught.value.fix}"


def test_the_plan_says_what_the_asft_loss_compares_with(project: Path) -> None:
    (planned,) = plan(project, "sft", {"finetuning_type": "full", "use_asft_loss": True}).stages
    assert "reference model: path:base as it was, loaded a second time" in planned.prepared.notes
    (planned,) = plan(project, "sft", {"finetuning_type": "full"}).stages
    assert "reference" not in str(planned.prepared.notes)


@pytest.mark.parametrize(("most", "left"), [(1, False), (2, True)])
def test_samples_that_a_share_for_validation_leaves(most: int, left: bool, project: Path) -> None:
    args = {"max_samples": most}
    if left:
        assert plan(project, "sft", args, validation=0.2).stages
        return
    with pytest.raises(BadInput, match="of 1 sample this leaves none") as caught:
        plan(project, "sft", args, validation=0.2)
    assert "data.validation" in caught.value.where


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"dataloader_drop_last": True, "per_device_train_batch_size": 9}, "no whole batch of 9"),
        (
            {"streaming": True, "max_steps": 9, "dataloader_num_workers": 9},
            "9 processes cannot share a file of 8 samples",
        ),
    ],
)
def test_samples_that_are_too_few(args: dict[str, Any], says: str, project: Path) -> None:
    with pytest.raises(BadInput, match=says):
        plan(project, "sft", args)
    assert plan(project, "sft", {key: min(args[key], 8) for key in args}).stages


@pytest.mark.parametrize("validation", [0.5, [{"path": "sft.jsonl", "limit": 7}]])
def test_samples_that_are_too_few_to_evaluate(validation: Any, project: Path) -> None:
    args = {"dataloader_drop_last": True, "per_device_train_batch_size": 2}
    with pytest.raises(BadInput, match="make no whole batch of 8"):
        plan(project, "sft", args, validation=validation)
    assert plan(project, "sft", args | {"per_device_eval_batch_size": 4}, validation=0.5).stages


def test_a_reward_model_that_the_engine_could_not_save(project: Path) -> None:
    config = project / "base" / "config.json"
    before = config.read_text()
    config.write_text('{"model_type": "qwen2", "tie_word_embeddings": true}')
    with pytest.raises(BadInput, match="share their weights"):
        plan(project, "rm", {"finetuning_type": "full"})
    assert plan(project, "rm", {"finetuning_type": "lora"}).stages
    config.write_text(before)
    assert plan(project, "rm", {"finetuning_type": "full"}).stages


@pytest.mark.parametrize("target", ["all", "q_proj", "model.q_proj", "q_proj,lm_head"])
def test_module_that_the_base_has(target: str, project: Path) -> None:
    assert plan(project, "sft", {"lora_target": target}).stages
