"""The operations of a policy's program: the one list of their numbers.

Each is a row of four numbers, (operation, out, a, b). Registers hold a number or a truth for each
transaction of a chunk.
"""

from __future__ import annotations

# Into a register of numbers.
LOAD = 0  # column a into register out, once a chunk
FILL = 1  # constant a

FIRST_ARITHMETIC = 2  # of registers a and b
ADD = 2
SUB = 3
MUL = 4
DIV = 5  # by 0: missing
MIN = 6
MAX = 7

FIRST_FUNCTION = 8  # of register a
ABS = 8
NEGATIVE = 9
SQRT = 10
LOG1P = 11

# Into a register of truths.
FIRST_COMPARISON = 12  # of registers a and b; with what is missing false
EQ = 12
NE = 13
LT = 14
LE = 15

FIRST_TO_CONSTANT = 16  # of register a and constant b; with what is missing false
EQ_CONSTANT = 16
NE_CONSTANT = 17
LT_CONSTANT = 18
LE_CONSTANT = 19
GT_CONSTANT = 20
GE_CONSTANT = 21

MISSING = 22  # whether register a is missing
IN_NUMBERS = 23  # whether register a is one of the sorted numbers of set b
NO_HASH = 24  # whether text a is missing
IN_HASHES = 25  # whether text a is one of the sorted hashes of set b, which has not ended

FIRST_LOGIC = 26  # of registers a and b
AND = 26
OR = 27
NOT = 28  # register a

# What it leads to.
SKIP_IF_NONE = 29  # on at operation b where no truth of register a holds
HIT = 30  # the transactions for which register a holds have bit b
