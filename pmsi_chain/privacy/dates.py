"""The dates of a report: found, and moved by a number of days in the form in which they were written.

Pure. Years that stand alone ("en 2012") are no dates here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

from pmsi_chain.text import fold

_MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
    "décembre",
)  # fmt: skip
_MONTH_KEYS = ("janv", "fev", "mars", "avr", "mai", "juin", "juil", "aou", "sept", "oct", "nov", "dec")
_ACUTE = "(?:é|e\u0301?)"
_MONTH = (
    rf"(?i:janv(?:ier|\.)?|f{_ACUTE}v(?:rier|r\.?|\.)?|mars|avr(?:il|\.)?|mai|juin|juil(?:let|\.)?|ao(?:û|u\u0302?)t|"
    rf"sept(?:embre|\.)?|oct(?:obre|\.)?|nov(?:embre|\.)?|d{_ACUTE}c(?:embre|\.)?)"
)
_DATE = re.compile(
    r"(?<![\d/.,-])(?:"
    r"(?P<y1>\d{4})(?P<s1>[-/.])(?P<m1>\d{1,2})(?P=s1)(?P<d1>\d{1,2})"
    r"|(?P<d2>\d{1,2})(?P<s2>[ ]?/[ ]?|[.-])(?P<m2>\d{1,2})(?P=s2)(?P<y2>\d{4}|\d{2})"
    rf"|(?P<d3>\d{{1,2}}(?:er)?)(?P<s3>[ \t-])(?P<m3>{_MONTH})"
    r"(?:(?P<t3>[ \t-])(?P<y3>\d{4}|\d{2}(?!\d|[ ]?(?:h|ans|mg|g|%))))?"
    rf"|(?P<m4>{_MONTH})(?P<s4>[ \t])(?P<y4>(?:19|20)\d{{2}})"
    r"|(?P<m5>0?[1-9]|1[0-2])/(?P<y5>(?:19|20)\d{2})"
    r")(?!\d|[/.,-]\d|[^\W\d_])"
)
_DAY_MONTH = re.compile(
    r"(?<!\w)(?i:le|du|au|jusqu['’]au)[ \t]+(?P<date>(?P<d>\d{1,2})/(?P<m>\d{1,2}))(?!\d|[/.,]\d|[ ]?(?:mm|cm|%))"
)
_DAY_MONTH_YEAR = 2023  # where no year is written; no leap year, so that 29/02 becomes a placeholder


def date_spans(text: str) -> Iterator[tuple[int, int]]:
    """Spans of the dates, in no order; they may overlap."""
    for match in _DATE.finditer(text):
        if _is_date(match):
            yield match.span()
    for match in _DAY_MONTH.finditer(text):
        if 1 <= int(match["d"]) <= 31 and 1 <= int(match["m"]) <= 12:
            yield match.span("date")


def _is_date(match: re.Match[str]) -> bool:
    """Whether the numbers can be a date: « 12/14/18 » and « 1.2.21 » are measures or numbering."""
    if match["y2"] is None or len(match["y2"]) == 4:
        return True
    plain = "/" in match["s2"] or (len(match["d2"]) == len(match["m2"]) == 2)
    return plain and 1 <= int(match["d2"]) <= 31 and 1 <= int(match["m2"]) <= 12


def shifted(written: str, days: int) -> str | None:
    """A date moved and written as it was; None when no calendar holds it.

    A month with its year moves by whole months, so that two months never become one.
    """
    match = _DATE.fullmatch(written)
    try:
        if match is None:
            day, month = (int(part) for part in written.split("/"))
            return f"{date(_DAY_MONTH_YEAR, month, day) + timedelta(days):%d/%m}"
        if match["y1"]:
            moved = date(int(match["y1"]), int(match["m1"]), int(match["d1"])) + timedelta(days)
            return f"{moved.year:04}{match['s1']}{moved.month:02}{match['s1']}{moved.day:02}"
        if match["y2"]:
            moved = date(_full_year(match["y2"]), int(match["m2"]), int(match["d2"])) + timedelta(days)
            year = f"{moved.year:04}" if len(match["y2"]) == 4 else f"{moved.year % 100:02}"
            return f"{moved.day:02}{match['s2']}{moved.month:02}{match['s2']}{year}"
        if match["d3"]:
            year_of = _full_year(match["y3"]) if match["y3"] else _DAY_MONTH_YEAR
            moved = date(year_of, _month(match["m3"]), int(match["d3"].removesuffix("er"))) + timedelta(days)
            first = "1er" if moved.day == 1 else str(moved.day)
            year = f"{match['t3']}{moved.year:04}" if match["y3"] else ""
            return f"{first}{match['s3']}{_MONTHS[moved.month - 1]}{year}"
        month = _month(match["m4"]) if match["m4"] else int(match["m5"])
        moved_months = int(match["y4"] or match["y5"]) * 12 + month - 1 + round(days / 30.4375)
        year_of, month = divmod(moved_months, 12)
    except (ValueError, OverflowError):
        return None
    return f"{_MONTHS[month]}{match['s4']}{year_of:04}" if match["m4"] else f"{month + 1:02}/{year_of:04}"


def _full_year(written: str) -> int:
    year = int(written)
    if len(written) > 2:
        return year
    return year + (2000 if year <= 40 else 1900)


def _month(written: str) -> int:
    folded = fold(written)
    return next(i for i, key in enumerate(_MONTH_KEYS, start=1) if folded.startswith(key))
