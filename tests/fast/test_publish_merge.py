"""Adapters added into weights, where no engine is needed to see whether it was done right."""

import json
from pathlib import Path

import numpy as np
import pytest

from llmops.engines.contract import ModelFiles
from llmops.errors import BadInput, Failed
from llmops.publish import merge as module
from llmops.publish.merge import Merged
from llmops.publish.tensors import NUMPY, Stored, as_floats, rounded, write
from llmops.registry.files import INDEX
from llmops.store.digest import sha256_file, sha256_tree
from tests.fast.lora_on_disk import MODULE, OTHER, random, some_factors, write_base, write_lora

WEIGHTS = "model.safetensors"


def merge(files: ModelFiles, target: Path) -> Merged:
    names = [path.name for path in files.directory.iterdir()]
    digest = sha256_tree({name: sha256_file(files.directory / name) for name in names})
    return module.merge(files, digest, target)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "merged").mkdir()
    return tmp_path / "merged"


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_each_module_gains_its_product_and_nothing_else_changes(
    tmp_path: Path, target: Path, dtype: str
) -> None:
    factors = some_factors()
    files = ModelFiles(write_base(tmp_path / "base", dtype), write_lora(tmp_path / "a", factors))
    made = merge(files, target)
    before, after = Stored(files.directory / WEIGHTS), Stored(target / WEIGHTS)
    changed = []
    for name in before.tensors:
        a, b = factors.get(name.removesuffix(".weight"), (None, None))
        expected = before.floats(name) if a is None else before.floats(name) + 2 * (b @ a)
        assert np.array_equal(after.raw(name), rounded(expected, dtype)), name
        changed += [name] if not np.array_equal(after.raw(name), before.raw(name)) else []
    assert changed == [f"{MODULE}.weight", f"{OTHER}.weight"]
    assert made.modules == 2
    assert (made.lost < 1e-6) == (dtype == "F32")


def test_each_shard_gets_the_modules_that_it_holds(tmp_path: Path, target: Path) -> None:
    base, whole = write_base(tmp_path / "base"), Stored(tmp_path / "base" / WEIGHTS)
    places = {name: f"part-{n % 2}.safetensors" for n, name in enumerate(whole.tensors)}
    for part in sorted({*places.values()}):
        write(base / part, {n: whole.raw(n) for n, at in places.items() if at == part}, "F32")
    (base / INDEX).write_text(json.dumps({"weight_map": places}))
    expected = ModelFiles(write_base(tmp_path / "one"), write_lora(tmp_path / "a", some_factors()))
    (tmp_path / "together").mkdir()
    merge(expected, tmp_path / "together")
    (base / WEIGHTS).unlink()
    merge(ModelFiles(base, expected.adapter), target)
    together = Stored(tmp_path / "together" / WEIGHTS)
    for name, part in places.items():
        assert np.array_equal(Stored(target / part).raw(name), together.raw(name))


def test_a_large_weight_is_added_to_in_blocks(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ModelFiles(write_base(tmp_path / "base"), write_lora(tmp_path / "a", some_factors()))
    merge(files, target)
    (tmp_path / "again").mkdir()
    monkeypatch.setattr("llmops.publish.merge._BLOCK", 9)
    merge(files, tmp_path / "again")
    assert (target / WEIGHTS).read_bytes() == (tmp_path / "again" / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"use_rslora": True, "lora_alpha": 3}, 3 / 2**0.5),
        ({"alpha_pattern": {"q_proj": 5}, "lora_alpha": 5}, 2.5),
    ],
)
def test_the_scale_is_what_the_config_says(
    tmp_path: Path, target: Path, config: dict[str, object], scale: float
) -> None:
    a, b = some_factors()[MODULE]
    adapter = write_lora(tmp_path / "a", {MODULE: (a, b)}, **config)
    files = ModelFiles(write_base(tmp_path / "base"), adapter)
    merge(files, target)
    name = f"{MODULE}.weight"
    gained = Stored(target / WEIGHTS).raw(name) - Stored(files.directory / WEIGHTS).raw(name)
    assert np.allclose(gained, scale * (b @ a), atol=1e-5)


@pytest.mark.parametrize(
    ("config", "told"),
    [({"quantization_config": {"bits": 4}}, "the base is quantized"), ({}, "the base has none")],
)
def test_a_base_without_plain_weights_is_refused(
    tmp_path: Path, target: Path, config: dict[str, object], told: str
) -> None:
    factors = {"lm_head": some_factors()[MODULE]}  # tied to the embeddings: not in the files
    files = ModelFiles(write_base(tmp_path / "base", **config), write_lora(tmp_path / "a", factors))
    with pytest.raises(BadInput, match=told):
        merge(files, target)


@pytest.mark.parametrize("flag", [True, False])
def test_the_weight_itself_tells_how_it_lies(tmp_path: Path, target: Path, flag: bool) -> None:
    """Conv1D keeps it transposed; the flag is one for all modules."""
    (a, b), (turned, other) = (some_factors()[name] for name in (MODULE, OTHER))
    factors = {MODULE: (a, b), OTHER: (other.T, turned.T)}
    adapter = write_lora(tmp_path / "a", factors, fan_in_fan_out=flag)
    files = ModelFiles(write_base(tmp_path / "base"), adapter)
    merge(files, target)
    before, after = Stored(files.directory / WEIGHTS), Stored(target / WEIGHTS)
    for place, added in ((MODULE, b @ a), (OTHER, other @ turned)):
        name = f"{place}.weight"
        assert np.allclose(after.raw(name) - before.raw(name), 2 * added, atol=1e-5)


def test_a_head_that_is_tied_is_not_added_to(tmp_path: Path, target: Path) -> None:
    """Its file may hold it, but whoever loads the model takes the embeddings."""
    base = write_base(tmp_path / "base", tie_word_embeddings=True)
    stored = Stored(base / WEIGHTS)
    weights = {name: np.array(stored.raw(name)) for name in stored.tensors}
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    (base / WEIGHTS).unlink()
    write(base / WEIGHTS, weights, "F32")
    adapter = write_lora(tmp_path / "a", {"lm_head": (random(1, 2, 4), random(2, 8, 2))})
    with pytest.raises(BadInput, match="ties it to its embeddings"):
        merge(ModelFiles(base, adapter), target)


@pytest.mark.parametrize("figure", [np.nan, np.inf])
def test_an_adapter_of_no_numbers_is_refused(tmp_path: Path, target: Path, figure: float) -> None:
    factors = some_factors()
    factors[OTHER][1][0, 0] = figure
    files = ModelFiles(write_base(tmp_path / "base"), write_lora(tmp_path / "a", factors))
    with pytest.raises(BadInput, match="holds what is no number"):
        merge(files, target)


def test_an_adapter_that_rounding_swallows_makes_no_version(tmp_path: Path, target: Path) -> None:
    a, b = some_factors()[MODULE]
    files = ModelFiles(
        write_base(tmp_path / "base", "BF16"), write_lora(tmp_path / "a", {MODULE: (a, b * 1e-7)})
    )
    with pytest.raises(Failed, match="are those of the base"):
        merge(files, target)


def test_a_sum_out_of_the_range_of_float16_is_refused(tmp_path: Path, target: Path) -> None:
    a, b = some_factors()[MODULE]
    files = ModelFiles(
        write_base(tmp_path / "base", "F16"), write_lora(tmp_path / "a", {MODULE: (a, b * 1e6)})
    )
    with pytest.raises(Failed, match="leaves the range of F16"):
        merge(files, target)


def test_a_base_that_changed_is_not_merged(tmp_path: Path, target: Path) -> None:
    files = ModelFiles(write_base(tmp_path / "base"), write_lora(tmp_path / "a", some_factors()))
    with pytest.raises(Failed, match="is not what it was"):
        module.merge(files, "0" * 64, target)


def test_bfloat16_is_rounded_to_nearest_and_to_even_in_a_tie() -> None:
    halves = np.array([1 + 1 / 256, 1 + 3 / 256, 1 + 1.01 / 256, -2.5, 3.4e38], dtype=np.float32)
    found = as_floats(rounded(halves, "BF16"), "BF16")
    assert found.tolist() == [1.0, 1 + 4 / 256, 1 + 2 / 256, -2.5, float("inf")]
    assert set(NUMPY) == {"F32", "F16", "BF16", "F64"}
