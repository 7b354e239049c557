"""Times of records, as feeds, databases and logs write them, to microseconds since 1970 in UTC."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = 10**6
"""Microseconds of a second."""
FIRST, LAST = ((end.replace(tzinfo=UTC) - EPOCH) // MICROSECOND for end in (datetime.min, datetime.max))
# Up to eight digits are a date without dashes, as in 20260131, or too few for a time of our days.
NUMBER = re.compile(r"\d{9,20}|[+-]\d{1,20}|[+-]?\d{1,20}\.\d{0,20}", re.ASCII)
CACHED_TIMES = 4_096
"""Texts whose times are remembered: most feeds have days, or come in batches of one time."""


@lru_cache(CACHED_TIMES)
def parse_time(text: str) -> int | None:
    """Return the microseconds since 1970 of a date, of a date and time, or of seconds; None if it is none.

    Dates and times are those of ISO 8601; without an offset they are in UTC, and a date is its first moment.
    A number of nine digits or more, or with a point or a sign, is a number of seconds since 1970.

    >>> parse_time("1970-01-02"), parse_time("1970-01-01 01:00:00+01:00"), parse_time("1262304000.5")
    (86400000000, 0, 1262304000500000)
    >>> parse_time("yesterday") is None
    True
    """
    text = text.strip()
    if NUMBER.fullmatch(text):
        # Beyond the years that have four digits it is in milliseconds, or no time at all.
        moment = int(Decimal(text) * SECOND // 1)
    else:
        try:
            given = datetime.fromisoformat(text)
        except ValueError:
            return None
        # In whole numbers: floats of microseconds have too few bits.
        moment = (given.replace(tzinfo=given.tzinfo or UTC) - EPOCH) // MICROSECOND
    return moment if FIRST <= moment <= LAST else None


def format_time(microseconds: int) -> str:
    """Return a time in UTC as ISO 8601.

    >>> format_time(86400000000), format_time(1500000)
    ('1970-01-02T00:00:00Z', '1970-01-01T00:00:01.500000Z')
    """
    return (EPOCH + microseconds * MICROSECOND).isoformat().replace("+00:00", "Z")
