"""Every metric of every process, in one list."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class BatchHistogram(Collector):
    """A histogram without labels that takes whole arrays.

    `Histogram.observe` took 1.2 us a value, this takes 0.01.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        buckets: Sequence[float],
        *,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._name, self._documentation = name, documentation
        self._bounds = np.array(buckets, dtype=np.float64)
        self._counts = np.zeros(len(buckets) + 1, dtype=np.int64)
        self._sum = 0.0
        self._lock = threading.Lock()
        registry.register(self)

    def observe_many(self, values: NDArray[np.float64]) -> None:
        """Count every value in its bucket; NaN is above all bounds and adds nothing to the sum."""
        places = np.searchsorted(self._bounds, values, side="left")
        counts = np.bincount(places, minlength=len(self._counts))
        with self._lock:
            self._counts += counts
            self._sum += float(np.nansum(values))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """One family, its buckets cumulative."""
        with self._lock:
            cumulative, total = np.cumsum(self._counts).tolist(), self._sum
        bounds = [*(str(bound) for bound in self._bounds.tolist()), "+Inf"]
        yield HistogramMetricFamily(
            self._name,
            self._documentation,
            sum_value=total,
            buckets=list(zip(bounds, cumulative, strict=True)),
        )


def observe_many(histogram: BatchHistogram, values: NDArray[np.float64]) -> None:
    """Observe a batch of values at once."""
    histogram.observe_many(values)


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)

PROCESSED = Counter("tidegate_records_processed_total", "Records a stage has committed", ["stage"])
REJECTED = Counter(
    "tidegate_records_rejected_total", "Records sent to the dead letters", ["stage", "reason"]
)
PASSED = Counter(
    "tidegate_records_passed_total",
    "Records of which nothing comes and that are no mistake: tombstones, deletes, updates, "
    "repeats, erased ones",
    ["stage", "kind"],
)
ID_MEMORY = Gauge(
    "tidegate_id_memory_seconds",
    "How far back a keyed step knows the ids of a partition; below the profile's `remember.time` "
    "when `remember.memory` is too small for it",
    ["stage", "partition"],
)
STATE_KEYS = Gauge(
    "tidegate_state_keys",
    "Entities whose windows a keyed step holds for a partition",
    ["stage", "partition"],
)
EVICTED_KEYS = Counter(
    "tidegate_evicted_keys_total",
    "Entities that a keyed step forgot before they were idle, by the profile's `remember.keys`",
    ["stage", "partition"],
)
LATE_DUPLICATES = Counter(
    "tidegate_late_duplicates_total",
    "Transactions that reached persist although their row was there, with an equal body",
)
EXPIRED = Counter(
    "tidegate_expired_rows_total", "Rows that persist deleted because they were too old"
)
RETRIES = Counter(
    "tidegate_batch_retries_total", "Batches rewound because something was away", ["stage"]
)
BATCH_SIZE = Histogram(
    "tidegate_batch_records",
    "Records in a batch",
    ["stage"],
    buckets=(1, 10, 50, 100, 500, 1000, 2000, 4000, 10_000),
)
STAGE_SECONDS = Histogram(
    "tidegate_stage_seconds", "From poll to commit of a batch", ["stage"], buckets=_SECONDS
)
END_TO_END_SECONDS = BatchHistogram(
    "tidegate_end_to_end_seconds", "From ingest to the committed row", buckets=_SECONDS
)
LAG = Gauge(
    "tidegate_lag_records", "Records not yet committed by this process", ["stage", "partition"]
)
LABELS_LAG = Gauge(
    "tidegate_labels_lag_records",
    "Labels not yet absorbed by the keyed step's partition that is farthest behind",
    ["stage"],
)
HELD = Gauge(
    "tidegate_held_partitions",
    "1 while a partition is held because too many of its records are rejects, or some are lost",
    ["stage", "partition"],
)
LOST = Gauge(
    "tidegate_lost_records",
    "Records that the log no longer has and that were not processed, until somebody accepts it",
    ["stage", "partition"],
)
UNFOLDED = Gauge(
    "tidegate_unfolded_records",
    "Records that a restored state should be made of, and that the log no longer had",
    ["stage", "partition"],
)
RESTORE_SECONDS = Gauge(
    "tidegate_restore_seconds", "Time the last restore of a partition took", ["stage"]
)
RESTORE_RECORDS = Gauge(
    "tidegate_restore_records",
    "Records still to be replayed until the partition's state is restored",
    ["stage", "partition"],
)
ASSIGNED = Gauge("tidegate_assigned_partitions", "Partitions assigned to this process", ["stage"])
READY = Gauge("tidegate_ready", "1 when assigned and restored", ["stage"])
DECISIONS = Counter("tidegate_decisions_total", "Decisions made", ["decision"])
DEGRADED = Counter(
    "tidegate_degraded_total",
    "Transactions decided without a detector that failed or was late",
    ["detector"],
)
SCORES = BatchHistogram(
    "tidegate_score",
    "Distribution of the final score",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1),
)
SHADOW = Counter(
    "tidegate_shadow_total", "Transactions that a shadow scored too, by its decision", ["decision"]
)
MODEL_INFO = Gauge("tidegate_model_offset", "Offset on the models topic in use", ["bundle"])
CHAMPION_REFUSED = Gauge(
    "tidegate_champion_refused",
    "1 while this scorer cannot load the champion and scores with the one before it",
)
POLICY_REFUSED = Gauge(
    "tidegate_policy_refused",
    "1 while this scorer cannot decide by the newest policy: it goes on with the one before it, if "
    "it knows one, and else waits",
)
RULE_HITS = Counter("tidegate_rule_hits_total", "Transactions that a rule or list hit", ["rule"])
ONLINE_LABELS = Gauge("tidegate_online_labels", "Labels folded into the online weights in use")
LEARNT = Counter(
    "tidegate_labels_learnt_total",
    "Labels the learner has folded, by what came of them",
    ["outcome"],
)
ONLINE_FROZEN = Gauge(
    "tidegate_online_frozen", "1 when the online model has lost and the training's weights score"
)
ONLINE_DIFFERENCE = Gauge(
    "tidegate_online_error_difference",
    "Squared error on labels, online less frozen model, over ADWIN's window; below 0 is better",
)
DRIFT_PSI = Gauge(
    "tidegate_drift_psi",
    "Population stability index of the newest rows against the training",
    ["kind", "feature"],
)
DRIFT_KS = Gauge(
    "tidegate_drift_ks",
    "Kolmogorov-Smirnov distance of the newest rows from the training",
    ["kind", "feature"],
)
HTTP_REQUESTS = Counter(
    "tidegate_http_requests_total", "Answers of the HTTP API", ["route", "status"]
)
DENIED = Counter(
    "tidegate_denied",
    "Requests that were refused before they were read, by why",
    ["reason"],
)
HTTP_SECONDS = Histogram("tidegate_http_seconds", "Time to answer", ["route"], buckets=_SECONDS)
ACKNOWLEDGED = Counter("tidegate_transactions_acknowledged_total", "Transactions answered with 202")
RECONCILED = Gauge(
    "tidegate_reconciled_records",
    "Records of the raw topic by what `tidegate reconcile` found: row, dead_letter, under_way, "
    "repeat, passed, erased, missing",
    ["outcome"],
)
PROCESS_RESTARTS = Gauge(
    "tidegate_process_restarts", "How often the supervisor has restarted a process", ["process"]
)
NOTIFICATIONS = Counter(
    "tidegate_notifications_total",
    "Messages of the stage notify by what came of them: sent, again (put off), failed, suppressed",
    ["channel", "outcome"],
)
NOTIFICATION_AGE = Gauge(
    "tidegate_notification_oldest_pending_seconds",
    "Age of the oldest message of a channel that waits to be sent; 0 without one",
    ["channel"],
)
