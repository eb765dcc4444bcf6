"""The operations of a compiled program: the one list of their numbers.

To add an operation to profiles:

1. `tidegate/profile/spec.py`: a struct that says what a profile may write, added to its union.
2. Here: a number in the group that says what the operation reads and writes.
3. `plan.py`: a case in `Plan._compile` that reserves the words it keeps in a row, and emits it.
4. `windows.py`: its loop over those words, called under its number in `interpreter.py`.

An oracle in `tests/model/features/test_windows.py` then says what it must compute. The numbers are
stored nowhere: a plan is compiled anew in every process.
"""

from __future__ import annotations

# Operations on the entity's row. Each is named with the structs of `tidegate.profile.spec` that
# need it. Those with outputs leave their totals in `scratch`, for the outputs that follow them.
# DISTINCT and those behind it fill registers of their own.
WINDOW = 0  # Count, Sum, Mean, Deviation: add this transaction to its pane
TOTAL = 1  # Count, Sum, Mean, Deviation: total the panes of a window; outputs follow
WIDE_WINDOW = 2  # the same, over amounts whose squares do not fit a word
WIDE_TOTAL = 3  # the same
VERDICT_TOTAL = 4  # FraudRate, Verdicts: total the panes of a window over verdicts; outputs follow
VERDICT_DECAY = 5  # FraudRate with a half-life: the same, older panes weigh less; outputs follow
RUN = 6  # FraudRun: look through the newest verdicts; outputs follow
LEVEL = 7  # Level: median and spread of the last values, then note this one; outputs follow
DISTINCT = 8  # Distinct: note a hash and count those in the window
SINCE = 9  # SinceLast: seconds since the newest event, which is noted
DECAY = 10  # DecayedSum: decay the sum and add to it
RECENT = 11  # Recent: note a value; the newest ones go to registers side by side

# Outputs: one register from the totals in `scratch`.
FIRST_OUTPUT = 12
COUNT = 12  # Count, Verdicts
SUM = 13  # Sum
MEAN = 14  # Mean
DEVIATION = 15  # Deviation
RATIO = 16  # Level, give: ratio
DIFFERENCE = 17  # Level, give: difference
ZSCORE = 18  # Level, give: zscore
RATE = 19  # FraudRate
RUN_OUTPUT = 20  # FraudRun, whatever it gives

# Operations on registers alone.
FIRST_FREE = 21
CALENDAR = 21  # Calendar: a part of the event time
CONSTANT = 22  # Expression: a number
COPY = 23  # Expression: its value into the column's register

# Operations of an Expression on one, two or (SELECT) three registers.
ADD = 32  # a + b
SUB = 33  # a - b
MUL = 34  # a * b
DIV = 35  # a / b
LT = 36  # a < b
LE = 37  # a <= b
EQ = 38  # a == b
NE = 39  # a != b
AND = 40  # a and b
OR = 41  # a or b
NOT = 42  # not a
SELECT = 43  # b if a else c
LOG1P = 44  # log1p(a)
SQRT = 45  # sqrt(a)
ABS = 46  # abs(a)
MIN = 47  # min(a, b)
MAX = 48  # max(a, b)
EXP = 49  # exp(a)
ISNAN = 50  # isnan(a)

EXPRESSION = {
    "add": ADD,
    "sub": SUB,
    "mul": MUL,
    "div": DIV,
    "lt": LT,
    "le": LE,
    "eq": EQ,
    "ne": NE,
    "and": AND,
    "or": OR,
    "not": NOT,
    "select": SELECT,
    "log1p": LOG1P,
    "sqrt": SQRT,
    "abs": ABS,
    "min": MIN,
    "max": MAX,
    "exp": EXP,
    "isnan": ISNAN,
}
"""By the name that `tidegate.profile.expression` gives them."""
