"""By which instruction each kind of feature gets its value."""

from __future__ import annotations

from model.features import opcodes
from model.features.wide_windows import SQUARE_WORDS, SUM_WORDS
from tidegate.profile.spec import Count, Deviation, Mean, Sum

CALENDAR_PARTS = {"hour_sin": 0, "hour_cos": 1, "weekday": 2, "is_weekend": 3, "is_night": 4}
LEVEL_OUTPUTS = {
    "ratio": opcodes.RATIO,
    "difference": opcodes.DIFFERENCE,
    "zscore": opcodes.ZSCORE,
}
RUN_OUTPUTS = {"count": 0, "age": 1, "since_legitimate": 2, "least": 3}
WORDS = {Count: 1, Sum: 2, Mean: 2, Deviation: 4}
WIDE_WORDS = {Count: 1, Sum: SUM_WORDS, Mean: SUM_WORDS, Deviation: SQUARE_WORDS}
OUTPUTS = {
    Count: opcodes.COUNT,
    Sum: opcodes.SUM,
    Mean: opcodes.MEAN,
    Deviation: opcodes.DEVIATION,
}
