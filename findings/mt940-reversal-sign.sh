#!/usr/bin/env bash
# mt-940 counts a reversal of a credit (RC in :61:) as money received, unless an option is given.
#
# The statement below is valid and closed by its bank: 100 received, taken back by RC, 0 in the end. Read with
# the defaults it adds up to 200. Options(reversal_sign=True) is the way out.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet mt-940==5.1.1
cat >sign.py <<'PY'
from importlib.metadata import version

import mt940

statement = """:20:REVERSAL
:25:12030000/202051
:28C:1/1
:60F:C260101EUR0,00
:61:2601020102C100,00NTRFNONREF
:61:2601020102RC100,00NTRFNONREF
:62F:C260102EUR0,00
-
"""
print("mt-940", version("mt-940"))
default = [t.data["amount"].amount for t in mt940.parse(statement)]
option = [t.data["amount"].amount for t in mt940.parse(statement, options=mt940.Options(reversal_sign=True))]
print("default", *default, "sum", sum(default))
print("reversal_sign", *option, "sum", sum(option))
assert sum(default) == 200, "changed: RC is no longer counted as money received"
assert sum(option) == 0, "changed: the option gives another sign"
PY
venv/bin/python sign.py
