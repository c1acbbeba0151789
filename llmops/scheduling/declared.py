"""What the project's pipelines declare to run by itself: the triggers of pipelines/*.yaml.

Reads declarations only, and those again that changed. A file that cannot be read, and a trigger
that cannot work, is a reason, never an error: the others go on.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from llmops.errors import LlmopsError
from llmops.spec.load import Loaded, Override, load_pipeline, load_recipe, resolve_path
from llmops.spec.pipeline import Pipeline
from llmops.spec.preferences import PreferencesRecipe
from llmops.spec.settings import Settings
from llmops.spec.trigger import FeedbackTrigger, Limits, Trigger, named

FOLDER = "pipelines"
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class DeclaredTrigger:
    """id: PIPELINE/NAME; file: relative to the project; deployment, preferences: of a feedback
    trigger, whose log it reads and which snapshots hold what is old."""

    id: str
    pipeline: str
    file: str
    trigger: Trigger
    limits: Limits
    deployment: str = ""
    preferences: str = ""

    @cached_property
    def stored(self) -> str:
        """JSON, as the row of the trigger keeps it."""
        values = {
            "trigger": self.trigger.model_dump(mode="json", exclude_unset=True),
            "limits": self.limits.model_dump(mode="json", exclude_none=True),
            "deployment": self.deployment,
            "preferences": self.preferences,
        }
        return json.dumps(values, sort_keys=True)


@dataclass(frozen=True)
class Declared:
    """triggers: by id; files: those that there are; broken: why nothing is known of a file;
    problems: why a trigger, by id, cannot work."""

    triggers: Mapping[str, DeclaredTrigger] = field(default_factory=dict)
    files: Collection[str] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    def why_gone(self, id: str, file: str) -> str:
        """Why a trigger that once was declared is not."""
        if id in self.problems:
            return self.problems[id]
        if file in self.broken:
            return self.broken[file]
        if file not in self.files:
            return f"{file} is not there"
        return f"{file} no longer declares it"


def declared(settings: Settings) -> Declared:
    """All the triggers of the project, as its files stand."""
    return Declarations(settings).read()


@dataclass
class _File:
    """What one file said, and the stamps of what it was read from."""

    stamps: dict[Path, _Stamp | None]
    pipeline: str = ""
    triggers: list[DeclaredTrigger] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    broken: str = ""

    @property
    def is_current(self) -> bool:
        # A recipe that was missed has no stamp: a problem is looked into again each time.
        return not self.problems and all(
            _stamp(path) == stamp for path, stamp in self.stamps.items()
        )


class Declarations:
    """The project's triggers; files that did not change are not read again."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.root
        self._files: dict[Path, _File] = {}

    def read(self) -> Declared:
        paths = sorted((self._root / FOLDER).glob("*.yaml"))
        self._files = {path: self._current(path) for path in paths}
        triggers: dict[str, DeclaredTrigger] = {}
        broken: dict[str, str] = {}
        problems: dict[str, str] = {}
        owners: dict[str, Path] = {}
        for path, file in self._files.items():
            if file.broken:
                broken[self._relative(path)] = file.broken
            elif owners.setdefault(file.pipeline, path) != path:
                first = self._relative(owners[file.pipeline])
                broken[self._relative(path)] = f"{first} declares a pipeline `{file.pipeline}` too"
            else:
                triggers |= {one.id: one for one in file.triggers}
                problems |= file.problems
        files = [self._relative(path) for path in paths]
        return Declared(triggers, files, broken, problems)

    def _current(self, path: Path) -> _File:
        known = self._files.get(path)
        return known if known is not None and known.is_current else self._read(path)

    def _read(self, path: Path) -> _File:
        file = _File({path: _stamp(path)})
        try:
            loaded = load_pipeline(path)
        except LlmopsError as error:
            file.broken = error.line
            return file
        file.pipeline = loaded.spec.name
        for name, trigger in named(loaded.spec.triggers).items():
            self._add(file, f"{loaded.spec.name}/{name}", trigger, loaded)
        return file

    def _add(self, file: _File, id: str, trigger: Trigger, loaded: Loaded[Pipeline]) -> None:
        common = (id, loaded.spec.name, self._relative(loaded.path), trigger, loaded.spec.limits)
        if trigger.feedback is None:
            file.triggers.append(DeclaredTrigger(*common))
            return
        try:
            recipe = preferences_recipe(loaded, trigger.feedback, self._root, file.stamps)
        except LlmopsError as error:
            file.problems[id] = error.line
            return
        names = (recipe.spec.deployment, recipe.spec.output.preferences)
        file.triggers.append(DeclaredTrigger(*common, *names))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def preferences_recipe(
    pipeline: Loaded[Pipeline],
    feedback: FeedbackTrigger,
    root: Path,
    read: dict[Path, _Stamp | None] | None = None,
) -> Loaded[PreferencesRecipe]:
    """The recipe that makes the pairs which a feedback trigger counts, as the pipeline uses it.

    read: takes the stamps of the recipes that were read. Raises BadInput when there is none, or
    which is open.
    """
    wanted = _wanted(pipeline, feedback, root)
    found: dict[Path, Loaded[PreferencesRecipe]] = {}
    for name, stage in pipeline.spec.stages.items():
        path = resolve_path(stage.recipe or "", beside=pipeline.path, root=root)
        if stage.recipe is None or path is None or (wanted or path) != path:
            continue
        if read is not None:
            read[path] = _stamp(path)
        where = pipeline.source.where(("stages", name, "set"))
        loaded = load_recipe(path, [Override(k, v, where) for k, v in stage.set.items()])
        if isinstance(loaded.spec, PreferencesRecipe):
            found.setdefault(path, loaded)
    if wanted is not None and not found:
        loaded = load_recipe(wanted)
        if not isinstance(loaded.spec, PreferencesRecipe):
            raise loaded.bad("makes no preferences, whose pairs a trigger could count", ("kind",))
        return loaded
    if len(found) != 1:
        what = "has several stages that make preferences" if found else "makes no preferences"
        raise pipeline.bad(
            f"the pipeline {what}: which pairs does its feedback trigger count?",
            ("triggers",),
            fix="name a recipe of `kind: preferences` in `feedback: {recipe: ...}`",
        )
    return next(iter(found.values()))


def _wanted(pipeline: Loaded[Pipeline], feedback: FeedbackTrigger, root: Path) -> Path | None:
    if feedback.recipe is None:
        return None
    path = resolve_path(feedback.recipe, beside=pipeline.path, root=root)
    if path is None:
        raise pipeline.bad(f"no such recipe: {feedback.recipe}", ("triggers",))
    return path


def _stamp(path: Path) -> _Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
