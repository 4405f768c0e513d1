"""Params: what is stored, what is refused, and that a refusal writes nothing."""

from __future__ import annotations

import json
import uuid
from collections import OrderedDict, UserDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest

from tests.contract.seen import everything
from tinycrm_core import InvalidInput, InvalidParams, InvalidStatus, TinyCRM
from tinycrm_core.events import from_json
from tinycrm_core.limits import LIMITS, dumps
from tinycrm_core.testing import ALICE, BOB, day, exactly, on

NESTED = {"depth": None}


class Plan(Enum):
    PRO = "pro"
    SIZE = 3


class Level(IntEnum):
    HIGH = 7


class Colour(StrEnum):
    RED = "red"


class Word(str):
    """Text that shows itself as something else."""

    __slots__ = ()

    def __str__(self) -> str:
        return "other"


class Money(float):
    __slots__ = ()


def deep(levels: int, last: Any = 1) -> Any:
    """An object of that many levels."""
    value = last
    for _ in range(levels):
        value = {"k": value}
    return value


def listed(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


STORED = [
    (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2026-01-02T03:04:05.000006+00:00"),
    (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T00:00:00+02:00"),
    (datetime(2026, 1, 2), "2026-01-02T00:00:00+00:00"),  # noqa: DTZ001 - naive on purpose
    (date(2026, 1, 2), "2026-01-02"),
    (Decimal("9.50"), 9.5),
    (Decimal("9.00"), 9),
    (Decimal("1E+3"), 1000),
    (Decimal(2**63 - 1), 2**63 - 1),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Plan.PRO, "pro"),
    (Plan.SIZE, 3),
    (Level.HIGH, 7),
    (Colour.RED, "red"),
    (Word("word"), "word"),
    (Money(1.5), 1.5),
    ((1, (2,)), [1, [2]]),
    (OrderedDict(b=1, a=2), {"a": 2, "b": 1}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (UserDict(a=1), {"a": 1}),
    (2**63 - 1, 2**63 - 1),
    (-(2**63), -(2**63)),
    (2**53 + 1, 2**53 + 1),
    (1e16, 1e16),
    (1e22, 1e22),
    (1.7976931348623157e308, 1.7976931348623157e308),
    (5e-324, 5e-324),
    (0.1 + 0.2, 0.1 + 0.2),
    (100.0, 100.0),
    (True, True),
    ("\x01\x1f\x7f\u2028", "\x01\x1f\x7f\u2028"),
    ("\U0001f600 \uffff", "\U0001f600 \uffff"),
    ("", ""),
]


@pytest.mark.parametrize(("given", "stored"), STORED, ids=lambda value: repr(value)[:40])
def test_python_values_are_stored_as_documented_json(crm: TinyCRM, given: Any, stored: Any) -> None:
    shop = crm.project("shop")
    shop.identify(ALICE, params={"top": given, "in": [{"deep": given}]})
    assert exactly(on(crm).params, {"top": stored, "in": [{"deep": stored}]})
    shop.identify(BOB, set_once={"top": given})
    assert exactly(on(crm, email=BOB).params, {"top": stored})
    json.dumps(crm.customers.export_person(ALICE), allow_nan=False)


def test_minus_zero_equals_zero(crm: TinyCRM) -> None:
    crm.project("shop").identify(ALICE, params={"a": -0.0})
    assert on(crm).params == {"a": 0.0}


KEYS = (  # noqa: SIM905 - a list would hide them among quotes
    '__proto__ constructor email None name status toString $ne $[0] a.b x__gte p.a " \\ % _ '
    "' ; -- {} [] project:x @shop * ключ é e\u0301 İ"
).split()


@pytest.mark.parametrize("key", ["", " ", "\t", "a b", "\x01", *KEYS])
def test_no_key_is_special(crm: TinyCRM, key: str) -> None:
    """V11"""
    shop = crm.project("shop")
    shop.identify(ALICE, params={key: 1, "other": {key: [key]}})
    assert on(crm).params == {key: 1, "other": {key: [key]}}
    assert shop.identify(ALICE, params={key: 2}).changed == (f"params.{key}",)
    shop.identify(ALICE, set_once={key: 3})
    assert on(crm).params[key] == 2
    assert crm.customers.history(ALICE)[0].changes == {f"params.{key}": (1, 2)}
    shop.identify(ALICE, unset=[key])
    assert on(crm).params == {"other": {key: [key]}}


# Limits ------------------------------------------------------------------------------------------
def filled(size: int) -> dict[str, str]:
    """Params of exactly that many bytes as JSON, two for each character."""
    text = "é" * ((size - 8) // 2)
    params = {"k": text if size % 2 == 0 else text + "x"}
    assert len(dumps(params).encode()) == size
    return params


FITS = [
    ("keys", {f"k{number}": number for number in range(LIMITS.keys)}),
    ("key", {"é" * LIMITS.key: 1, "in": {"é" * LIMITS.key: 1}}),
    ("depth", deep(LIMITS.depth)),
    ("depth of lists", {"k": listed(LIMITS.depth - 1)}),
    ("size", filled(LIMITS.size)),
]
TOO_MUCH = [
    ("keys", {f"k{number}": number for number in range(LIMITS.keys + 1)}, "256 keys"),
    ("key", {"k" * (LIMITS.key + 1): 1}, "128 characters"),
    ("inner key", {"in": [{"k" * (LIMITS.key + 1): 1}]}, "128 characters"),
    ("depth", deep(LIMITS.depth + 1), "20 levels"),
    ("depth of lists", {"k": listed(LIMITS.depth)}, "20 levels"),
    ("size", filled(LIMITS.size + 1), "65536 bytes"),
]


@pytest.mark.parametrize("argument", ["params", "set_once"])
@pytest.mark.parametrize(("what", "value"), FITS, ids=[each[0] for each in FITS])
def test_up_to_the_limit_is_stored(
    crm: TinyCRM, argument: str, what: str, value: dict[str, Any]
) -> None:
    """V7"""
    crm.project("shop").identify(ALICE, **{argument: value})
    assert on(crm).params == value


@pytest.mark.parametrize("argument", ["params", "set_once"])
@pytest.mark.parametrize(("what", "value", "limit"), TOO_MUCH, ids=[each[0] for each in TOO_MUCH])
def test_beyond_the_limit_is_refused_by_its_name(
    crm: TinyCRM, argument: str, what: str, value: dict[str, Any], limit: str
) -> None:
    """V7"""
    refused(crm, limit, **{argument: value})


@pytest.mark.parametrize(
    ("stored", "added"),
    [
        (FITS[0][1], {"params": {"one more": 1}}),
        (FITS[0][1], {"set_once": {"one more": 1}}),
        ({"a": "x" * 40_000}, {"params": {"b": "x" * 40_000}}),
        ({"a": "x" * 40_000}, {"set_once": {"b": "x" * 40_000}}),
    ],
    ids=["key", "once key", "size", "once size"],
)
def test_what_is_stored_already_counts(
    crm: TinyCRM, stored: dict[str, Any], added: dict[str, Any]
) -> None:
    """V7"""
    crm.project("shop").identify(BOB, params=stored)
    before = everything(crm)
    with pytest.raises(InvalidParams, match=r"256 keys|65536 bytes"):
        crm.project("shop").identify(BOB, name="new", status="paid", **added)
    assert everything(crm) == before


def test_params_and_set_once_of_a_first_call_count_together(crm: TinyCRM) -> None:
    """V7"""
    half = {f"a{number}": 1 for number in range(200)}
    other = {f"b{number}": 1 for number in range(200)}
    refused(crm, "256 keys", params=half, set_once=other)


def test_limits_can_be_set(crm: TinyCRM) -> None:
    from tinycrm_core import Limits

    strict = TinyCRM.over(crm.store, account=crm.account_slug, limits=Limits(keys=1, key=3))
    strict.project("shop").identify(ALICE, params={"abc": 1})
    for params in ({"abcd": 1}, {"a": 1, "b": 1}, {"b": 1}):
        with pytest.raises(InvalidParams, match=r"more than 1 keys|longer than 3"):
            strict.project("shop").identify(ALICE, params=params)
    assert on(crm).params == {"abc": 1}


# Refusals ----------------------------------------------------------------------------------------
def refused(crm: TinyCRM, match: str, **fields: Any) -> None:
    """The call is refused, for somebody new and for somebody known, and writes nothing."""
    shop = crm.project("shop")
    shop.identify(BOB, name="Bob", status="trial", params={"kept": 1}, at=day(1))
    before = everything(crm)
    for email in (ALICE, BOB):
        with pytest.raises(InvalidInput, match=match) as caught:
            shop.identify(email, **{"name": "new", "status": "paid", **fields})
        assert caught.value.field
    assert everything(crm) == before


cycle: dict[str, Any] = {}
cycle["cycle"] = cycle
ring: list[Any] = []
ring.append(ring)

HOSTILE = [
    (float("nan"), "finite"),
    (float("inf"), "finite"),
    (float("-inf"), "finite"),
    (json.loads("1e400"), "finite"),
    (Decimal("NaN"), "finite"),
    (Decimal("sNaN"), "finite"),
    (Decimal("-Infinity"), "finite"),
    (Decimal("1E400"), "finite"),
    (2**63, "64 bits"),
    (-(2**63) - 1, "64 bits"),
    (10**5000, "64 bits"),
    ("a\x00b", "NUL"),
    ("\ud800", "surrogate"),
    ("a\udfffb", "surrogate"),
    ({"a\x00b": 1}, "NUL"),
    ({"\ud800": 1}, "surrogate"),
    ({1: 1}, "keys must be text"),
    ({None: 1}, "keys must be text"),
    ({True: 1}, "keys must be text"),
    ({b"a": 1}, "keys must be text"),
    ({Colour.RED: 1}, "keys must be text"),
    ({1, 2}, "set"),
    (frozenset(), "frozenset"),
    (b"bytes", "bytes"),
    (object(), "object"),
    (1j, "complex"),
    (time(1), "time"),
    (timedelta(1), "timedelta"),
    (range(3), "range"),
    (iter([1]), "list_iterator"),
    (cycle, "20 levels"),
    (ring, "20 levels"),
]


@pytest.mark.parametrize(("value", "match"), HOSTILE, ids=[ascii(m) for _, m in HOSTILE])
def test_values_no_backend_could_carry_are_refused(crm: TinyCRM, value: Any, match: str) -> None:
    """V5, V6"""
    for hostile in (value, [value], {"in": [value]}):
        refused(crm, match, params={"a": hostile})
    refused(crm, match, set_once={"a": value})
    if isinstance(value, dict):
        refused(crm, match, params=value)


@pytest.mark.parametrize(
    ("unset", "match"),
    [
        ("text", "list of keys"),
        ({"a": 1}, "list of keys"),
        (1, "list of keys"),
        ([1], "text"),
        (["a\x00"], "NUL"),
        (["\udc00"], "surrogate"),
        (["k" * 129], "128"),
        ([f"k{number}" for number in range(257)], "256"),
    ],
)
def test_unset_takes_keys(crm: TinyCRM, unset: Any, match: str) -> None:
    refused(crm, match, unset=unset)


@pytest.mark.parametrize("params", [[], "text", 1, [("a", 1)], True])
def test_params_are_an_object(crm: TinyCRM, params: Any) -> None:
    refused(crm, "object", params=params)
    refused(crm, "object", set_once=params)


@pytest.mark.parametrize(
    ("name", "match"),
    [("a\x00b", "NUL"), ("\ud83d", "surrogate"), ("x" * 501, "500"), (1, "text"), (b"A", "text")],
)
def test_names_no_backend_could_carry_are_refused(crm: TinyCRM, name: Any, match: str) -> None:
    """V6"""
    refused(crm, match, name=name)


@pytest.mark.parametrize("status", ["Paid", " paid", "", "vip", 1, ["paid"], True, b"paid"])
def test_only_four_statuses(crm: TinyCRM, status: Any) -> None:
    """V4"""
    refused(crm, "free, trial, paid, churned", status=status)
    with pytest.raises(InvalidStatus):
        from_json({"email": ALICE, "status": status}, type="identify")


@pytest.mark.parametrize("active", [None, 1, 0, "true"])
def test_active_is_a_boolean(crm: TinyCRM, active: Any) -> None:
    refused(crm, "true or false", active=active)


@pytest.mark.parametrize(
    "slug", ["", "Shop", "a b", "-a", "a" * 65, "a/b", "é", "a\x00", None, 1, "a.b", "a\n"]
)
def test_only_slugs_are_products(crm: TinyCRM, slug: Any) -> None:
    with pytest.raises(InvalidInput, match="slug"):
        crm.project(slug)
    with pytest.raises(InvalidInput, match="slug"):
        crm.projects.add(slug)
    assert crm.projects.list() == ()
