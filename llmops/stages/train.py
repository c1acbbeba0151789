"""`kind: train`: a stage that an engine trains, registered as the next version of its model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmops.data.layouts import STAGE_LAYOUTS
from llmops.engines.contract import (
    Command,
    DataSet,
    Engine,
    Environment,
    ModelFiles,
    Progress,
    TrainJob,
)
from llmops.engines.shape import Shape, shape_of
from llmops.errors import OutOfMemory
from llmops.registry.hub.cache import download
from llmops.registry.locate import Located
from llmops.registry.tuning import told as tuning_told
from llmops.registry.verification import verify_used
from llmops.runner.downloads import Download
from llmops.runner.stage import Attempt, Context, Node, Pending, Prepared, References, Stage
from llmops.serving.hold import consequence, holding, refuse
from llmops.spec.recipe import TrainRecipe
from llmops.spec.source import display
from llmops.stages.datasets import Item, data_inputs, data_parts, promised, training_data
from llmops.stages.engine_run import register, run_engine
from llmops.stages.history import checkpoint_of, finished_before, looked_up, planning_environment
from llmops.stages.lengths import check_enough, counted, lengths
from llmops.stages.parts import base_parts, option_parts, validation_parts
from llmops.stages.resources import Training, steps_of
from llmops.stages.served import check_rank
from llmops.stages.tokens import Tokens, cached, tokens_key
from llmops.store.run_paths import AttemptPaths

GOLDEN_PROMPTS = 4


@dataclass(frozen=True)
class _Payload:
    """What executing needs beyond what planning shows."""

    engine: Engine
    environment: Environment | None
    base: Located | Pending
    train: Sequence[Item]
    validation: Sequence[Item] | float | None
    training: Training


class Train(Stage):
    """The stage kind of every training recipe."""

    kind = "train"

    def inputs(self, spec: TrainRecipe) -> References:
        return {"base": (spec.base, ("base",)), **data_inputs(spec)}

    def prepare(self, node: Node, inputs: Mapping[str, Any], context: Context) -> Prepared:
        recipe: TrainRecipe = node.spec
        where = node.declared.source.where(("engine",))
        engine = context.find_engine(recipe.engine, where)
        environment, version = planning_environment(recipe.engine, context)
        if environment is not None:
            engine.check(node.declared, environment)
        base: Located | Pending = inputs["base"]
        train = training_data(node, "train", inputs, context)
        validation = self._validation(node, inputs, context)
        parts = {
            **option_parts(recipe, engine.files(node.declared), version, context),
            **base_parts(recipe, base, context),
            **data_parts("data.train", train),
            **validation_parts(validation),
        }
        found, reasons, earlier = looked_up(node, recipe.output.model, parts, context)
        pending = _pending_on(base, train, validation)
        done = found is not None and not pending
        stopped = earlier.lineage.stopped if done and earlier else ""
        shape = _shape(base)
        known = [item for item in train if isinstance(item, DataSet)]
        length = [] if done else counted(recipe, base, known, context)
        check_enough(node.declared, length, known)
        files = _files(base)
        training = Training(
            node.declared, engine, environment, files, shape, known, length, context
        )
        payload = _Payload(engine, environment, base, train, validation, training)
        if environment is None:
            reasons = (*reasons, f"{recipe.engine} is not installed: options unchecked")
        samples = sum(item.limit or item.samples for item in known)
        steps = steps_of(recipe, samples if len(known) == len(train) else None)
        kind = "adapter" if recipe.args.get("finetuning_type", "lora") == "lora" else "full"
        command = self._preview(node, payload, context)
        told = command.notes if command is not None else ()
        rank = command.rank if command is not None else None
        if not done:
            check_rank(node, recipe.output.model, rank, context)
            taken = () if pending else cached(tokens_key(command, files, context), context)
            tuned = tuning_told(base) if isinstance(base, Located) else ""
            told = (*told, *filter(None, [tuned]), *lengths(recipe, length, known), *taken)
        return Prepared(
            parts=parts,
            output=Pending(node.name, kind, recipe.output.model, training.made, rank),
            found=found if done else None,
            caution=stopped,
            pending_on=pending,
            done=done,
            reasons=reasons,
            estimate=training.estimate(steps, earlier),
            command=command,
            notes=tuple(filter(None, [stopped])) if done else (*told, *training.notes()),
            refusal=None if done else training.refusal,
            summary=_summary(recipe, train, samples, steps)
            + ("" if done else _beside(recipe, context)),
            payload=payload,
        )

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Located:
        recipe: TrainRecipe = attempt.node.spec
        _refuse_beside(recipe, attempt.node, context)
        payload: _Payload = prepared.payload
        assert isinstance(payload.base, Located)
        made = finished_before(payload.engine, attempt, context)
        if made is None:
            self._train(prepared, payload.base, attempt, context)
        return register(
            made or attempt,
            context,
            stage=recipe.stage,
            model=recipe.output.model,
            environment=context.environment(recipe.engine),
            engine=payload.engine,
            parts=prepared.parts,
            base=payload.base,
            data=[item for item in payload.train if isinstance(item, DataSet)],
        )

    def _train(self, prepared: Prepared, base: Located, attempt: Attempt, context: Context) -> None:
        """To its end, from the furthest checkpoint that there is."""
        verify_used(base, context.registry)
        recipe: TrainRecipe = attempt.node.spec
        payload: _Payload = prepared.payload
        environment = context.environment(recipe.engine)
        job = _job(attempt.node, payload, base.files, attempt.paths)
        job = replace(job, resume=checkpoint_of(payload.engine, attempt, context))
        tokens = Tokens(prepared.command, job, attempt, context)
        spare = prepared.estimate.disk_bytes or 0
        with (
            holding(
                recipe.resources.while_serving,
                context.paths,
                lambda told: attempt.report(Progress(told)),
                why=f"stage {attempt.node.name} of run {attempt.run}",
            ),
            tokens.given(spare) as job,
        ):
            try:
                command = payload.engine.compile_train(job, environment)
                run_engine(command, payload.engine, attempt, tokens.keep)
            except OutOfMemory as error:
                less = payload.training.less()
                what = f"{error.what}; this needs less: {less}" if less else error.what
                told = OutOfMemory(what, where=error.where, fix=error.fix)
                told.less = less
                raise told from error

    def smaller(self, prepared: Prepared) -> Mapping[str, Any]:
        """The smallest change of the recipe that fits into memory, as overrides by key. Raises
        BadInput where none is known."""
        return prepared.payload.training.smaller()  # type: ignore[no-any-return]

    def show(
        self, node: Node, prepared: Prepared, paths: AttemptPaths, count: int, context: Context
    ) -> Command:
        """What shows the stage's first samples. Raises BadInput while its base or its data have
        yet to be made, or the engine is not installed."""
        payload: _Payload = prepared.payload
        for one in (payload.base, *payload.train):
            if isinstance(one, Download):
                raise node.declared.bad(
                    f"what it reads has yet to be downloaded: {one.id}",
                    fix=download(one.listings[0].asked),
                )
        if prepared.pending_on or not isinstance(payload.base, Located):
            made = ", ".join(prepared.pending_on)
            raise node.declared.bad(
                f"what it reads has yet to be made by stage {made}",
                fix=f"run that first, or all of it: `llmops run {display(node.declared.path)}`",
            )
        job = _job(node, payload, payload.base.files, paths)
        return payload.engine.compile_show(job, context.environment(node.spec.engine), count)

    def _validation(
        self, node: Node, inputs: Mapping[str, Any], context: Context
    ) -> list[Item] | float | None:
        share = node.spec.data.validation
        if isinstance(share, list):
            return training_data(node, "validation", inputs, context)
        return share  # type: ignore[no-any-return]

    def _preview(self, node: Node, payload: _Payload, context: Context) -> Any:
        """The command with placeholders for what is pending; None without the engine."""
        if payload.environment is None:
            return None
        attempt = context.paths.run("<run>").attempt(node.name, 1)
        return payload.engine.compile_train(
            _job(node, payload, _files(payload.base), attempt), payload.environment
        )


def _job(node: Node, payload: _Payload, base: ModelFiles, attempt: AttemptPaths) -> TrainJob:
    wanted = STAGE_LAYOUTS[node.spec.stage]
    train = [promised(item, wanted) for item in payload.train]
    held = payload.validation
    validation = [promised(item, wanted) for item in held] if isinstance(held, Sequence) else held
    prompts = [prompt for item in train for prompt in item.first_prompts] or _golden_of(
        payload.base
    )
    return TrainJob(
        recipe=node.declared,
        base=base,
        train=train,
        validation=validation,
        attempt=attempt,
        golden=prompts[:GOLDEN_PROMPTS],
    )


def _golden_of(base: Located | Pending) -> list[Any]:
    """The golden prompts of the version that a training starts from: those of a snapshot are its
    users' words, which a version, that never changes, must not keep."""
    if isinstance(base, Pending) or base.manifest is None:
        return []
    return [golden.messages or golden.text for golden in base.manifest.golden]


def _files(base: Located | Pending) -> ModelFiles:
    """Where they are, or a placeholder."""
    if isinstance(base, Located):
        return base.files
    if isinstance(base, Download) and base.kind == "full":
        return ModelFiles(base.place)
    place = Path(f"/<{base.node}>")
    return ModelFiles(place, place / "adapter" if base.kind == "adapter" else None, base.rank)


def _shape(base: Located | Pending) -> Shape | None:
    return base.shape if isinstance(base, Pending) else shape_of(base.files.directory)


def _pending_on(
    base: Located | Pending, train: Sequence[Item], validation: Sequence[Item] | float | None
) -> tuple[str, ...]:
    """The stages that make what this one reads, each once."""
    others = validation if isinstance(validation, Sequence) else ()
    items = [base, *train, *others]
    return tuple(dict.fromkeys(item.node for item in items if isinstance(item, Pending)))


def _summary(recipe: TrainRecipe, train: Sequence[Item], samples: int, steps: int | None) -> str:
    """With the number of pairs whose two answers are one, from which nothing is learned."""
    kind = recipe.args.get("finetuning_type", "lora")
    same = sum(item.same_answers for item in train if isinstance(item, DataSet))
    made = [
        item.id if isinstance(item, Download) else f"the pairs of stage {item.node}"
        for item in train
        if isinstance(item, Pending)
    ]
    text = f"{samples:,} samples" if samples or not made else ""
    text += f" ({same:,} with the same answer twice)" if same else ""
    text = " and ".join(filter(None, [text, *made]))
    return f"{recipe.stage} {kind}, {text}" + (f", {steps:,} steps" if steps else "")


def _refuse_beside(recipe: TrainRecipe, node: Node, context: Context) -> None:
    """As before the run, but by what is served now: hours may have passed."""
    where = node.declared.source.where(("resources", "while_serving"))
    refuse(recipe.resources.while_serving, context.paths, stage=node.name, where=where)


def _beside(recipe: TrainRecipe, context: Context) -> str:
    """What it does to the deployments that are served now."""
    told = consequence(recipe.resources.while_serving, context.paths)
    return f"; {told}" if told else ""
