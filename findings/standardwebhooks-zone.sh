#!/usr/bin/env bash
# standardwebhooks signs the wall clock of a time, whatever zone the time says it is in.
#
# `Webhook.sign` takes a datetime and writes its seconds since 1970 into what is signed. It replaces the zone by UTC instead of
# converting it: one moment, given in two zones, gets two signatures, and only that of the time in UTC is accepted by the
# library's own `verify` beside the header that names the moment.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet standardwebhooks==1.1.0
cat >zone.py <<'PY'
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from standardwebhooks import Webhook, WebhookVerificationError

print("standardwebhooks", version("standardwebhooks"))
webhook = Webhook("whsec_" + "AAAA" * 8)
body = '{"type":"alert"}'
in_utc = datetime.now(timezone.utc).replace(microsecond=0)
elsewhere = in_utc.astimezone(timezone(timedelta(hours=2)))
assert in_utc == elsewhere and in_utc.timestamp() == elsewhere.timestamp()


def accepted(moment: datetime) -> bool:
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": webhook.sign("msg_1", moment, body),
    }
    try:
        webhook.verify(body, headers)
    except WebhookVerificationError as error:
        print(moment.isoformat(), "refused:", error)
        return False
    print(moment.isoformat(), "accepted")
    return True


assert accepted(in_utc), "changed: the time in UTC is refused"
assert not accepted(elsewhere), "changed: the same moment in another zone is accepted"
PY
venv/bin/python zone.py
