#!/usr/bin/env bash
# pytest-xdist --dist loadgroup keeps tests of one group on one worker; under this pytest it does not.
#
# The worker marks an item's group by writing to a private attribute of the item. This pytest no longer
# reads it, so the controller never sees the groups and deals the tests out singly. Nothing is said: the
# run is green, and tests that must not run beside each other do.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet pytest==9.2.0 pytest-xdist==3.8.0
cat >test_groups.py <<'PY'
import os
import pytest

pytestmark = pytest.mark.xdist_group("together")


@pytest.mark.parametrize("number", range(20))
def test_where(number):
    print("WORKER", os.environ["PYTEST_XDIST_WORKER"])
PY
venv/bin/python -c "from importlib.metadata import version as v; print('pytest', v('pytest'), 'xdist', v('pytest-xdist'))"
venv/bin/pytest -q -n 2 --dist loadgroup -rP test_groups.py >output
workers=$(grep -o 'WORKER gw.' output | sort | uniq -c)
echo "$workers"
[ "$(wc -l <<<"$workers")" -eq 2 ] || { echo "changed: one group runs on one worker"; exit 1; }
echo "20 tests of one group ran on two workers"
