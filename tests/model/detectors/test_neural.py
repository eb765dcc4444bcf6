"""Neural models: what TFLite files are refused, and that training says what it needs."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from model.detectors.base import Array
from model.detectors.neural.autoencoder import Autoencoder
from model.detectors.neural.classifier import Classifier
from model.detectors.neural.graph import ROWS, Graph
from tidegate.errors import ConfigError

pytestmark = pytest.mark.training

WIDTH = 4
NAMES = tuple("abcd")


def rows(n: int, seed: int = 0) -> Array:
    """The third column is the sum of the first two, the fourth is skewed."""
    x = np.random.default_rng(seed).normal(size=(n, WIDTH))
    x[:, 2], x[:, 3] = x[:, 0] + x[:, 1], np.exp(x[:, 3])
    return x


@pytest.fixture(scope="module")
def trained() -> Autoencoder:
    return Autoencoder.fit(rows(4000), np.zeros(4000, np.bool_), NAMES, {"epochs": 30})


@pytest.fixture(scope="module")
def graph(trained: Autoencoder) -> bytes:
    return trained.save()["autoencoder.tflite"]


def converted(function: Callable[[Any], Any], **options: object) -> bytes:
    """TFLite of any function of `ROWS` rows."""
    import tensorflow as tf

    traced = tf.function(function).get_concrete_function(tf.TensorSpec((ROWS, WIDTH), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], tf.Module())
    for name, value in options.items():
        setattr(converter, name, value)
    return bytes(converter.convert())


def test_a_row_that_breaks_what_binds_the_columns_is_unusual(trained: Autoencoder) -> None:
    fine, broken = rows(500, 1), rows(500, 1)
    broken[:, 2] *= -1
    assert np.median(trained.score(broken)) > np.median(trained.score(fine)) + 2
    shares = trained.contributions(broken).sum(axis=0)
    assert shares[1:4].sum() > 5 * abs(shares[4])


def test_scores_are_log_odds_of_the_rank_in_training(trained: Autoencoder) -> None:
    shares = [
        (trained.score(rows(10_000, 2)) > np.log(p / (1 - p))).mean() for p in (0.5, 0.9, 0.99)
    ]
    np.testing.assert_allclose(shares, [0.5, 0.1, 0.01], rtol=0.4)


@pytest.mark.parametrize("model", [Autoencoder, Classifier])
def test_without_tensorflow_training_says_how_to_get_it(
    model: type[Autoencoder | Classifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ConfigError, match=r"make neural.*tidegate\[neural\]"):
        model.fit(rows(100), np.zeros(100, np.bool_), NAMES, {})


def test_a_graph_cut_anywhere_is_refused(graph: bytes) -> None:
    for end in np.linspace(0, len(graph) - 64, 40).astype(int):
        with pytest.raises(ConfigError):
            Graph("cut.tflite", graph[:end], WIDTH, WIDTH)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0" * 5000, pickle.dumps({"model": 1}), b"{}"])
def test_what_is_no_graph_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError, match="not a graph that LiteRT can run"):
        Graph("x.tflite", content, WIDTH, WIDTH)


@pytest.mark.parametrize(("inputs", "outputs"), [(WIDTH + 1, WIDTH), (WIDTH, 1), (0, 0)])
def test_a_graph_for_another_number_of_columns_is_refused(
    graph: bytes, inputs: int, outputs: int
) -> None:
    with pytest.raises(ConfigError, match="maps"):
        Graph("other.tflite", graph, inputs, outputs)


def test_other_operations_are_refused() -> None:
    import tensorflow as tf

    flex = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    for content in (
        converted(tf.exp),
        converted(tf.math.lgamma, allow_custom_ops=True),
        converted(tf.math.lgamma, target_spec=tf.lite.TargetSpec(supported_ops=flex)),
    ):
        with pytest.raises(ConfigError, match="only dense layers"):
            Graph("x.tflite", content, WIDTH, WIDTH)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_weights_that_are_no_numbers_are_refused(bad: float) -> None:
    import tensorflow as tf

    weights = np.full((WIDTH, WIDTH), bad, np.float32)
    with pytest.raises(ConfigError, match="no numbers"):
        Graph("x.tflite", converted(lambda x: tf.tanh(tf.matmul(x, weights))), WIDTH, WIDTH)


def test_a_graph_that_would_fill_the_memory_is_refused() -> None:
    import tensorflow as tf

    wide = np.ones((WIDTH, 80_000), np.float32)
    with pytest.raises(ConfigError, match="declares more than"):
        Graph("x.tflite", converted(lambda x: tf.matmul(tf.matmul(x, wide), wide.T)), WIDTH, WIDTH)
