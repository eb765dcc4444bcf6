#!/usr/bin/env bash
# mt-940 dates an entry eleven months into the future when it is valued some weeks later, over New Year.
#
# The entry date of :61: has no year. The library takes the value date's year, and corrects it only when the two
# are 330 days or more apart. An entry of 15 December that is valued on 20 January is 329 days away.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet mt-940==5.1.1
cat >year.py <<'PY'
from importlib.metadata import version

import mt940

statement = """:20:YEAR
:25:12030000/202051
:28C:1/1
:60F:C251231EUR0,00
:61:2601201215C1,00NMSCNONREF
:62F:C260120EUR1,00
-
"""
print("mt-940", version("mt-940"))
for options in (None, mt940.Options.all()):
    (entry,) = mt940.parse(statement, options=options)
    print("valued", entry.data["date"], "entered", entry.data["entry_date"])
    assert str(entry.data["entry_date"]) == "2026-12-15", "changed: not in the value date's year"
PY
venv/bin/python year.py
