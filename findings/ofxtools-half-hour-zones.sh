#!/usr/bin/env bash
# ofxtools refuses India's [+5.5:IST], and reads [+5.50:IST] as five hours and fifty minutes.
#
# OFX (3.2.8.2) speaks of "fractional offsets" from +12.00 to -12.00, so both are half past five. The second is
# silently 20 minutes off, the first stops the reading of the file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet ofxtools==1.1.1
cat >zones.py <<'PY'
from importlib.metadata import version

from ofxtools.Types import DateTime

print("ofxtools", version("ofxtools"))
convert = DateTime().convert
try:
    print("[+5.5:IST]", convert("20260101053000.000[+5.5:IST]"))
    raise SystemExit("changed: [+5.5:IST] is read")
except ValueError as error:
    print("[+5.5:IST] refused:", type(error).__name__)
moment = convert("20260101053000.000[+5.50:IST]")
print("[+5.50:IST]", moment)
assert str(moment) == "2025-12-31 23:40:00+00:00", "changed: [+5.50:IST] is another offset"
PY
venv/bin/python zones.py
