"""The plots of a report or a run: precision over recall, the ROC, calibration."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from model.evaluation.metrics import Quality

_INCHES, _DPI = (5.0, 4.2), 120


def plots(models: Sequence[Quality]) -> dict[str, bytes]:
    """PNG files by name, all models in each; only those that there are verdicts for."""
    kinds: dict[str, tuple[Callable[[Axes, Quality], None], list[Quality]]] = {
        "precision-recall": (_precision_recall, [model for model in models if model.curves]),
        "roc": (_roc, [model for model in models if model.curves]),
        "calibration": (_calibration, [model for model in models if model.calibration]),
    }
    return {name: _png(plot, shown) for name, (plot, shown) in kinds.items() if shown}


def _png(plot: Callable[[Axes, Quality], None], models: list[Quality]) -> bytes:
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot(xlim=(0, 1), ylim=(0, 1.01))
    axes.grid(alpha=0.3)
    for model in models:
        plot(axes, model)
    axes.legend(loc="best", fontsize="small")
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _precision_recall(axes: Axes, model: Quality) -> None:
    axes.step(
        model.curves["recall"],
        model.curves["precision"],
        where="pre",
        label=f"{model.name}: average precision {model.metrics['average_precision']:.3f}",
    )
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision")


def _roc(axes: Axes, model: Quality) -> None:
    axes.plot(
        [0, *model.curves["false_positive_rate"]],
        [0, *model.curves["recall"]],
        label=f"{model.name}: AUC {model.metrics['auc']:.3f}",
    )
    axes.set(title="ROC", xlabel="false positive rate", ylabel="recall")


def _calibration(axes: Axes, model: Quality) -> None:
    axes.plot([0, 1], [0, 1], color="gray", linewidth=0.8)
    axes.plot(
        [tenth.score for tenth in model.calibration],
        [tenth.frauds for tenth in model.calibration],
        marker="o",
        label=f"{model.name}: mean gap {model.metrics['calibration_error']:.4f}",
    )
    axes.set(title="Calibration", xlabel="mean score of a tenth", ylabel="share of frauds")
