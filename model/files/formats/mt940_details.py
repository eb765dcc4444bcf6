"""What the `:86:` of a statement line says, taken apart where it has the German structure
(`166?00...`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

_STRUCTURED = re.compile(r"\d{3}\?\d\d")


class Details(NamedTuple):
    """Who the other side is and what the payment is for; "" for what is not said."""

    name: str = ""
    account: str = ""
    reference: str = ""
    text: str = ""
    code: str = ""


def details(text: str) -> Details:
    """The parts of a structured text; any other as the payment's text."""
    if not _STRUCTURED.match(text):
        return Details(text=" ".join(text.split()))
    found = _parts(text)
    purpose = found.get("purpose") or found.get("additional_purpose") or found.get("posting_text")
    return Details(
        name=(found.get("applicant_name") or "").strip(),
        account=(found.get("applicant_iban") or found.get("gvc_applicant_iban") or "").strip(),
        reference=(found.get("end_to_end_reference") or "").strip(),
        text=" ".join((purpose or "").split()),
        code=(found.get("transaction_code") or "").strip(),
    )


def _parts(text: str) -> dict[str, str | None]:
    from mt940 import Options
    from mt940.models import Transactions
    from mt940.processors import transaction_details_post_processor
    from mt940.tags import TAG_BY_ID

    whole = {"transaction_details": text}
    transactions = Transactions(options=Options.all())
    found: dict[str, str | None] = transaction_details_post_processor(
        transactions, TAG_BY_ID[86], whole, dict(whole)
    )
    return found
