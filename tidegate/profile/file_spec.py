"""What a profile may say of files as a whole, its section `file:`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tidegate.profile.file_options import marks_fault, zone_fault

Count = Annotated[int, Meta(ge=0, le=1000)]
OneSign = Annotated[str, Meta(max_length=1)]


class FileSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """How files are laid out; what is None is found by looking, and told.

    None of it changes what a transaction is, and so no hash of states.
    """

    separator: Annotated[str, Meta(max_length=3)] | None = None
    """Of a CSV's cells: one sign, or `tab`."""
    quote: OneSign | None = None
    """Around a CSV's cells; "" where there is none."""
    decimal_mark: OneSign | None = None
    thousands: OneSign | None = None
    encoding: str | None = None
    skip: Count | None = None
    """Lines before the header."""
    columns: list[str] | None = None
    """The columns' names in a CSV that has no header."""
    footer: Count = 0
    """Rows at the end that are no rows, such as totals."""
    zone: str | None = None
    """Of times that name none, as in the IANA database."""
    sheet: str | None = None
    """Of a workbook; the first one where none is named."""

    def problem(self) -> str:
        """What is wrong with the section; "" when nothing is."""
        sign = self.sign
        if sign is not None and (len(sign) != 1 or not sign.isascii() or sign in "\r\n\0"):
            return "separator: expected one ASCII sign, or tab"
        if self.quote and (not self.quote.isascii() or self.quote in "\r\n\0"):
            return "quote: expected one ASCII sign, or nothing"
        if sign and sign == self.quote:
            return "separator and quote: expected two signs, got one for both"
        marks = marks_fault(self.decimal_mark, self.thousands)
        return marks or zone_fault(self.zone) or _encoding_problem(self.encoding)

    @property
    def sign(self) -> str | None:
        """The separator as it stands in a file."""
        return "\t" if self.separator in {"tab", "\\t"} else self.separator


def _encoding_problem(name: str | None) -> str:
    try:
        " ".encode(name or "utf-8")
    except (LookupError, ValueError):
        return f"encoding: expected a name such as windows-1252, got {name!r}"
    return ""
