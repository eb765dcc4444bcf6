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


def plots(sides: Sequence[Quality]) -> dict[str, bytes]:
    """PNG files by name, all sides in each; only those that there are verdicts for."""
    kinds: dict[str, tuple[Callable[[Axes, Quality], None], list[Quality]]] = {
        "precision-recall": (_precision_recall, [side for side in sides if side.curves]),
        "roc": (_roc, [side for side in sides if side.curves]),
        "calibration": (_calibration, [side for side in sides if side.calibration]),
    }
    return {name: _png(plot, shown) for name, (plot, shown) in kinds.items() if shown}


def _png(plot: Callable[[Axes, Quality], None], sides: list[Quality]) -> bytes:
    figure, out = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained"), io.BytesIO()
    axes = figure.add_subplot(xlim=(0, 1), ylim=(0, 1.01))
    axes.grid(alpha=0.3)
    for side in sides:
        plot(axes, side)
    axes.legend(loc="best", fontsize="small")
    figure.savefig(out, format="png")
    return out.getvalue()


def _precision_recall(axes: Axes, side: Quality) -> None:
    axes.step(
        side.curves["recall"],
        side.curves["precision"],
        where="pre",
        label=f"{side.name}: average precision {side.metrics['average_precision']:.3f}",
    )
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision")


def _roc(axes: Axes, side: Quality) -> None:
    axes.plot(
        [0, *side.curves["false_positive_rate"]],
        [0, *side.curves["recall"]],
        label=f"{side.name}: AUC {side.metrics['auc']:.3f}",
    )
    axes.set(title="ROC", xlabel="false positive rate", ylabel="recall")


def _calibration(axes: Axes, side: Quality) -> None:
    axes.plot([0, 1], [0, 1], color="gray", linewidth=0.8)
    axes.plot(
        [one.score for one in side.calibration],
        [one.frauds for one in side.calibration],
        marker="o",
        label=f"{side.name}: mean gap {side.metrics['calibration_error']:.4f}",
    )
    axes.set(title="Calibration", xlabel="mean score of a tenth", ylabel="share of frauds")
