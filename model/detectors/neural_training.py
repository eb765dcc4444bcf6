"""Trains neural models with TensorFlow and hands them over as TFLite. Nothing that serves imports this."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import NEURAL, Array
from model.detectors.lite import ROWS
from model.detectors.packages import check_installed

_BATCH = 256
_WEIGHT = 0.02
"""Of the distance to the normal distribution, beside the mean squared error of a row."""
_DECAY = 0.01
"""Of an autoencoder's squared weights, beside the same: what it never saw, it shall not put together again either."""
Untyped = Any
"""TensorFlow ships no types."""


def _tensorflow() -> Untyped:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it reports its build on stderr otherwise
    check_installed(NEURAL)
    import tensorflow

    return tensorflow


def _fresh(seed: int) -> Untyped:
    """Keras with nothing left of earlier models: equal seeds give equal bytes."""
    keras = _tensorflow().keras
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    return keras


def _dense(keras: Untyped, sizes: list[int], last: str | None = None, decay: float = 0.0) -> list[Untyped]:
    return [keras.layers.Dense(size, activation=last if k == len(sizes) - 1 else "tanh",
                               kernel_regularizer=keras.regularizers.L2(decay)) for k, size in enumerate(sizes)]


def autoencoder(rows: Array, hidden: int, code: int, epochs: int, seed: int) -> bytes:
    """A graph that gives each row of `rows` f8[n, c] back through a layer of `code` numbers (least squares)."""
    keras = _fresh(seed)
    width = rows.shape[1]
    model = keras.Sequential([keras.Input((width,)), *_dense(keras, [hidden, code, hidden, width], decay=_DECAY)])
    model.compile(keras.optimizers.Adam(0.003), "mse")
    _train(model, rows, rows, epochs)
    return _graph(model.layers)


def variational(rows: Array, hidden: int, code: int, epochs: int, seed: int) -> bytes:
    """The same, trained with a code drawn at random (Kingma and Welling, ICLR 2014); the graph takes its mean."""
    tf, keras = _tensorflow(), _fresh(seed)
    width = rows.shape[1]
    inputs, (encoder,), mean = keras.Input((width,)), _dense(keras, [hidden], "tanh", _DECAY), keras.layers.Dense(code)
    encoded = encoder(inputs)

    class Draw(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """A code near the mean; the loss keeps its distribution near the standard normal one."""

        def __init__(self) -> None:
            super().__init__()
            self.seeds = keras.random.SeedGenerator(seed)

        def call(self, sides: list[Untyped]) -> Untyped:
            center, spread = sides
            distance = -0.5 * tf.reduce_sum(1 + spread - center**2 - tf.exp(spread), axis=1)
            self.add_loss(_WEIGHT * tf.reduce_mean(distance))
            return center + tf.exp(spread / 2) * keras.random.normal(tf.shape(center), seed=self.seeds)

    decoder = _dense(keras, [hidden, width], decay=_DECAY)
    drawn = Draw()([mean(encoded), keras.layers.Dense(code)(encoded)])
    model = keras.Model(inputs, decoder[1](decoder[0](drawn)))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    _train(model, rows, rows, epochs)
    return _graph([encoder, mean, *decoder])


def classifier(rows: Array, y: NDArray[np.bool_], hidden: int, epochs: int, seed: int) -> bytes:
    """A graph that gives log-odds of `y` bool[n]."""
    keras = _fresh(seed)
    width = rows.shape[1]
    model = keras.Sequential([keras.Input((width,)), *_dense(keras, [hidden, hidden // 2 or 1, 1])])
    model.compile(keras.optimizers.Adam(0.003), keras.losses.BinaryCrossentropy(from_logits=True))
    _train(model, rows, y[:, None].astype(np.float64), epochs)
    return _graph(model.layers)


def _train(model: Untyped, rows: Array, target: Array, epochs: int) -> None:
    model.fit(rows.astype(np.float32), target.astype(np.float32), batch_size=_BATCH, epochs=epochs, verbose=0)


def _graph(layers: list[Untyped]) -> bytes:
    """TFLite of dense layers, one after the other, for ROWS rows at a time; the weights are constants in it."""
    tf = _tensorflow()
    weights = [(*layer.get_weights(), layer.activation is tf.keras.activations.tanh) for layer in layers]

    def call(rows: Untyped) -> Untyped:
        for matrix, bias, bent in weights:
            rows = tf.matmul(rows, matrix) + bias
            rows = tf.tanh(rows) if bent else rows
        return rows

    shape = tf.TensorSpec((ROWS, len(weights[0][0])), tf.float32)
    concrete = tf.function(call).get_concrete_function(shape)
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert())
