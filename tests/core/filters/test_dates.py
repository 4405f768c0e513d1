"""Date words: what they cover, and how conditions compare with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.filters.people import NOW, having, holds, on, person
from tinycrm_core.filters import instant_range, param_instant
from tinycrm_core.times import from_micros, to_micros

MICROSECOND = timedelta(microseconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("word", "start", "end"),
    [
        ("2026-03-29", "2026-03-29", "2026-03-30"),
        ("1969-12-31", None, None),
        ("2026-03-29T10:00", "2026-03-29T10:00", "2026-03-29T10:00:00.000001"),
        ("2026-03-29T10:00:30Z", "2026-03-29T10:00:30", "2026-03-29T10:00:30.000001"),
        ("2026-03-29T10:00+02:00", "2026-03-29T08:00", "2026-03-29T08:00:00.000001"),
        ("2026-03-29T10:00:00.1234567", "2026-03-29T10:00:00.123456", "2026-03-29T10:00:00.123457"),
        ("today", "2026-03-31", "2026-04-01"),
        ("yesterday", "2026-03-30", "2026-03-31"),
        ("-2h", "2026-03-31T08:30", "2026-03-31T08:30:00.000001"),
        ("-30d", "2026-03-01T10:30", "2026-03-01T10:30:00.000001"),
        ("+7d", "2026-04-07T10:30", "2026-04-07T10:30:00.000001"),
        ("-2w", "2026-03-17T10:30", "2026-03-17T10:30:00.000001"),
        ("-1m", "2026-02-28T10:30", "2026-02-28T10:30:00.000001"),
        ("+11m", "2027-02-28T10:30", "2027-02-28T10:30:00.000001"),
        ("-3m", "2025-12-31T10:30", "2025-12-31T10:30:00.000001"),
    ],
)
def test_what_a_word_covers(word: str, start: str | None, end: str | None) -> None:
    covered = instant_range(word, to_micros(NOW))
    assert covered is not None
    if start is None or end is None:
        assert covered == (-86_400_000_000, 0)
    else:
        assert tuple(map(from_micros, covered)) == (at(start), at(end))


@pytest.mark.parametrize(
    ("word", "start", "end"),
    [
        ("-30d", "2026-03-01", "2026-03-02"),
        ("+7d", "2026-04-07", "2026-04-08"),
        ("-1m", "2026-02-28", "2026-03-01"),
        ("-2h", "2026-03-31T08:00", "2026-03-31T09:00"),
        ("today", "2026-03-31", "2026-04-01"),
        ("2026-03-29T10:00", "2026-03-29T10:00", "2026-03-29T10:00:00.000001"),
    ],
)
def test_a_whole_word_covers_its_day_or_hour(word: str, start: str, end: str) -> None:
    covered = instant_range(word, to_micros(NOW), whole=True)
    assert covered is not None
    assert tuple(map(from_micros, covered)) == (at(start), at(end))


NO_DATES = """
    tomorrow now Today 30d -30 -d -1y - + 2026-3-29 2026-02-30 20260329 2026-W13 2026-13-01
    2026-03-29T24:00 2026-03-29T10 2026-03-29T10:00:60 2026-03-29_10:00 ２０２６-03-29 -1234567d
    2026-03-29T10:00+1 2026-03-29Z 0000-01-01 -30D
"""


@pytest.mark.parametrize(
    "word", [*NO_DATES.split(), "2026-03-29 10:00", "", " today", "2026-03-29\n"]
)
def test_the_grammar_is_closed(word: str) -> None:
    assert instant_range(word, to_micros(NOW)) is None


@pytest.mark.parametrize("word", ["-999999d", "-999999m", "+999999m", "+999999w"])
def test_far_away_words_stop_at_the_calendar(word: str) -> None:
    start, end = instant_range(word, to_micros(NOW)) or (0, 0)
    assert end == start + 1
    assert from_micros(start).year in (1, 9999)


@pytest.mark.parametrize("far", ["-999999d", "+999999m", "9999-12-31", "0001-01-01"])
@pytest.mark.parametrize("op", ["<", "<=", ">", ">=", ":", "!="])
def test_far_away_words_compare(op: str, far: str) -> None:
    late = far in ("+999999m", "9999-12-31")
    expected = op == "!=" or (op[0] == ("<" if late else ">"))
    assert holds(f"created{op}{far}", person()) is expected


@given(st.datetimes(timezones=st.timezones() | st.none()))
def test_what_python_writes_is_an_instant(moment: datetime) -> None:
    text = moment.isoformat()
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    expected = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND
    odd_offset = (aware.utcoffset() or timedelta()) % timedelta(minutes=1)
    assert param_instant(text) == (None if odd_offset else expected)


@given(st.dates())
def test_a_date_is_its_midnight(day: object) -> None:
    assert param_instant(str(day)) == param_instant(f"{day}T00:00:00.000Z")


@given(st.text(alphabet="0123456789-:TZ+.W ", max_size=32))
def test_anything_else_is_none(text: str) -> None:
    instant = param_instant(text)
    assert instant is None or text[4] == text[7] == "-"


def midnight(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)


@pytest.mark.parametrize(
    ("condition", "first", "last"),
    [
        # The last moment before, and the first and the last moment that match; None is endless.
        ("created<2026-03-29", None, midnight(29) - MICROSECOND),
        ("created<=2026-03-29", None, midnight(30) - MICROSECOND),
        ("created>2026-03-29", midnight(30), None),
        ("created>=2026-03-29", midnight(29), None),
        ("created:2026-03-29", midnight(29), midnight(30) - MICROSECOND),
        ("created:2026-03-28..2026-03-29", midnight(28), midnight(30) - MICROSECOND),
        ("created:today", midnight(31), midnight(31) + timedelta(days=1) - MICROSECOND),
        ("created<-7d", None, NOW - timedelta(days=7) - MICROSECOND),
        ("created<=-7d", None, NOW - timedelta(days=7)),
        ("created>-7d", NOW - timedelta(days=7) + MICROSECOND, None),
        ("created>=-7d", NOW - timedelta(days=7), None),
        ("created:-7d", midnight(24), midnight(25) - MICROSECOND),
        ("created:-7d..yesterday", midnight(24), midnight(31) - MICROSECOND),
        ("created:2026-03-29T10:00", midnight(29).replace(hour=10), midnight(29).replace(hour=10)),
    ],
)
def test_the_edges_of_a_comparison(
    condition: str, first: datetime | None, last: datetime | None
) -> None:
    for edge, step in ((first, -MICROSECOND), (last, MICROSECOND)):
        if edge is not None:
            assert holds(condition, person(created=edge))
            assert not holds(condition, person(created=edge + step))
            # The same moment as text in a param, compared by the same words.
            param = condition.replace("created", "p.t")
            assert holds(param, having(t=edge.isoformat()))
            assert not holds(param, having(t=(edge + step).isoformat()))
    assert holds(condition, person(created=first or at("1970-01-01")))
    assert holds(condition, person(created=last or at("9999-12-31")))


def test_several_dates_and_none_of_a_date() -> None:
    somebody = person(created=midnight(29))
    assert holds("created:2026-03-28,2026-03-29", somebody)
    assert not holds("created:2026-03-28,2026-03-30", somebody)
    assert holds("created!=2026-03-28", somebody)
    assert not holds("created!=2026-03-29", somebody)
    assert not holds("created:2026-03-30..2026-03-28", somebody)


@pytest.mark.parametrize(
    "condition", ["<today", ">=today", ":today", "!=today", ":-7d..today", ":*"]
)
def test_a_time_that_is_not_there_compares_with_nothing(condition: str) -> None:
    assert not holds(f"seen{condition}", person())
    assert not holds(f"active{condition}", person(on("a")))
    assert holds("seen:-", person())
    assert holds("active:-", person(on("a")))
    assert not holds("created:-", person())


def test_zones_in_params() -> None:
    assert holds("p.t:2026-03-30", having(t="2026-03-29T23:30:00-01:30"))
    assert not holds("p.t:2026-03-29", having(t="2026-03-29T23:30:00-01:30"))
    assert holds("p.t>=2026-03-29T10:00+02:00", having(t="2026-03-29T08:00Z"))
    assert not holds("p.t>2026-03-29T10:00+02:00", having(t="2026-03-29T08:00Z"))
