"""Adapters of a smaller rank: the nearest there is, and as far away as is told."""

import json
from pathlib import Path

import numpy as np
import pytest

from llmops.errors import BadInput, Failed
from llmops.publish.compress import compress
from llmops.publish.factors import read_product
from tests.fast.lora_on_disk import MODULE, OTHER, random, some_factors, write_lora


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "smaller").mkdir()
    return tmp_path / "smaller"


def product(directory: Path, module: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    factors = read_product(directory).factors[module]
    return np.asarray(factors.b @ factors.a)


@pytest.mark.parametrize("config", [{}, {"use_rslora": True, "lora_alpha": 3}])
def test_the_largest_singular_values_are_kept(
    tmp_path: Path, target: Path, config: dict[str, object]
) -> None:
    adapter = write_lora(tmp_path / "a", some_factors(4), **config)
    made = compress(adapter, 2, target)
    squares = []
    for module in (MODULE, OTHER):
        full = product(adapter, module)
        u, s, v = np.linalg.svd(full, full_matrices=False)
        assert np.allclose(product(target, module), (u[:, :2] * s[:2]) @ v[:2], atol=1e-4)
        assert made.modules[module] == pytest.approx(np.linalg.norm(s[2:]) / np.linalg.norm(s))
        squares.append((np.square(s[2:]).sum(), np.square(s).sum()))
    lost, total = np.sum(squares, axis=0)
    assert made.error == pytest.approx((lost / total) ** 0.5)


def test_what_was_concatenated_without_need_is_lossless(tmp_path: Path, target: Path) -> None:
    a, b = some_factors()[MODULE]
    grown = {MODULE: (np.concatenate([a, a]), np.concatenate([b, b], axis=1))}
    adapter = write_lora(tmp_path / "a", grown)
    assert compress(adapter, 2, target).error < 1e-6
    config = json.loads((target / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"]) == (2, 2)


def test_the_error_counts_the_rounding_of_bfloat16(tmp_path: Path, target: Path) -> None:
    a, b = some_factors()[MODULE]
    grown = {MODULE: (np.concatenate([a, a]), np.concatenate([b, b], axis=1))}
    adapter = write_lora(tmp_path / "a", grown, "BF16")
    made = compress(adapter, 2, target)
    full = product(adapter, MODULE)
    told = np.linalg.norm(product(target, MODULE) - full) / np.linalg.norm(full)
    assert made.error == pytest.approx(told, rel=1e-3)
    assert 1e-4 < made.error < 1e-2


def test_modules_of_a_smaller_rank_stay_as_they_are(tmp_path: Path, target: Path) -> None:
    factors = some_factors(4)
    factors[OTHER] = (random(1, 1, 8), random(2, 4, 1))
    adapter = write_lora(tmp_path / "a", factors, rank_pattern={"down_proj": 1})
    made = compress(adapter, 2, target)
    assert made.modules[OTHER] < 1e-6 < made.modules[MODULE]
    assert made.worst == MODULE


def test_factors_out_of_the_range_of_float16_are_refused(tmp_path: Path, target: Path) -> None:
    factors = {MODULE: (np.full((4, 4), 6e4, np.float32), np.full((6, 4), 6e4, np.float32))}
    adapter = write_lora(tmp_path / "a", factors, "F16", lora_alpha=4000)
    with pytest.raises(Failed, match="leaves the range of F16 at rank 2"):
        compress(adapter, 2, target)


def test_a_dtype_that_cannot_be_computed_with_is_named(tmp_path: Path, target: Path) -> None:
    adapter = write_lora(tmp_path / "a", some_factors(4), "F16")
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes().replace(b'"F16"', b'"I16"'))
    with pytest.raises(BadInput, match=r"lora_A.weight` is I16"):
        compress(adapter, 2, target)


@pytest.mark.parametrize("rank", [0, 2, 3])
def test_a_rank_that_is_not_below_its_own_is_refused(
    tmp_path: Path, target: Path, rank: int
) -> None:
    adapter = write_lora(tmp_path / "a", some_factors(2))
    with pytest.raises(BadInput, match="is not below the adapter's own, 2"):
        compress(adapter, rank, target)
    assert not list(target.iterdir())
