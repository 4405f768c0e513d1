"""Which column plays which role: chosen by preset and header, changed by the caller's mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tinycrm_core.errors import InvalidInput
from tinycrm_core.transfer import presets
from tinycrm_core.transfer.guard import unguard
from tinycrm_core.transfer.presets import PRESETS, Preset
from tinycrm_core.transfer.sniff import InvalidFile
from tinycrm_core.transfer.values import KINDS, guess
from tinycrm_core.transport import clean_slug

SINGLE = (
    "email", "name", "first_name", "last_name", "aliases", "project",
    "status", "joined", "active", "at",
)  # fmt: skip
"""Roles that one column at most can play."""
ROLES = (*SINGLE, "params", "profile", "ignore")
REST = "*"
"""In a mapping: the role of every column that the mapping does not name."""

_WIDE = ("status", "joined", "active")
_key_like = re.compile(r"[a-z0-9_.$-]+").fullmatch


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its header and role; for `params.<key>` also `key`, `kind` and whether guessed.

    `project` is set where the header names its product (`status@shop`).
    """

    index: int
    header: str
    role: str
    key: str = ""
    kind: str = ""
    guessed: bool = False
    project: str | None = None

    @property
    def spelled(self) -> str:
        """The role as a mapping spells it, e.g. `params.plan:text`."""
        role = f"params.{self.key}:{self.kind}" if self.role == "param" else self.role
        return role if self.project is None else f"{role}@{self.project}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file is read: its preset, and its columns in their order."""

    preset: Preset
    columns: tuple[Column, ...]

    @property
    def email_at(self) -> int:
        """The place of the email column."""
        return next(column.index for column in self.columns if column.role == "email")


def clean_headers(cells: Sequence[str], *, raw: bool = False) -> list[str]:
    """The headers without outer spaces. Raises InvalidFile if two are the same."""
    headers = [(cell if raw else unguard(cell)).strip() for cell in cells]
    seen: dict[str, int] = {}
    for index, header in enumerate(headers, 1):
        if header and header in seen:
            raise InvalidFile(
                f"header: columns {seen[header]} and {index} are both called "
                f"{header[:60]!a}; rename one",
                field="header",
                line=1,
            )
        seen[header] = index
    return headers


def plan_columns(
    headers: Sequence[str],
    sample: Sequence[Sequence[str]],
    mapping: Mapping[str, str] | str | None = None,
) -> Plan:
    """Give every column a role. Raises InvalidFile (no email column) or InvalidInput (mapping)."""
    plan = propose_columns(headers, sample, mapping)
    if not any(column.role == "email" for column in plan.columns):
        raise InvalidFile(
            "header: no column holds the email; the columns are "
            f"{', '.join(ascii(each[:60]) for each in headers[:50] if each) or 'without names'}",
            field="header",
            line=1,
        )
    return plan


def propose_columns(
    headers: Sequence[str],
    sample: Sequence[Sequence[str]],
    mapping: Mapping[str, str] | str | None = None,
) -> Plan:
    """The same where the email column may still be missing: for somebody to look at."""
    if isinstance(mapping, str):
        preset, wanted = _preset(mapping), {}
    else:
        preset, wanted = presets.detect(headers), dict(mapping or {})
    _check_mapping(wanted, headers)
    columns = []
    for index, header in enumerate(headers):
        role = wanted.get(header)
        if role is None and REST in wanted and header:
            role = wanted[REST]
        asked = role is not None
        if role is None:
            role = _automatic(header, headers, preset)
        cells = [unguard(row[index]) for row in sample if index < len(row) and row[index].strip()]
        columns.append(_column(index, header, role, cells, asked))
    columns = _without_doubles(columns, set(wanted))
    return Plan(preset, tuple(columns))


def _preset(name: str) -> Preset:
    if name in PRESETS:
        return PRESETS[name]
    raise InvalidInput(f"mapping: the presets are {', '.join(PRESETS)}", field="mapping")


def _check_mapping(wanted: Mapping[str, str], headers: Sequence[str]) -> None:
    for header, role in wanted.items():
        if header != REST and header not in headers:
            raise InvalidInput(
                f"mapping: there is no column {ascii(header)[:60]}; the columns are "
                f"{', '.join(ascii(each[:60]) for each in headers[:50] if each)}",
                field="mapping",
            )
        key, _, kind = str(role).removeprefix("params.").rpartition(":")
        is_param = str(role).startswith("params.") and role != "params."
        if not is_param and (role not in ROLES or (header == REST and role in SINGLE)):
            raise InvalidInput(
                f"mapping: {ascii(role)[:60]} is no role; there are {', '.join(ROLES)} and "
                f"params.<key>, which can end in :{' :'.join(KINDS)}",
                field="mapping",
            )
        if is_param and key and kind not in KINDS:
            raise InvalidInput(
                f"mapping: {ascii(kind)[:40]} is no type; there are {', '.join(KINDS)}",
                field="mapping",
            )


def _automatic(header: str, headers: Sequence[str], preset: Preset) -> str:
    if not header:
        return "ignore"
    name = presets.words(header)
    if preset is presets.TINYCRM and presets.is_wide(headers):
        return preset.roles.get(name, "wide") if "@" not in header else "wide"
    if name in preset.roles:
        return preset.roles[name]
    if presets.is_secret(header):
        return "ignore"
    return presets.KNOWN.get(name) or f"params.{_key(header)}"


def _key(header: str) -> str:
    if _key_like(header):
        return header
    return "_".join(presets.words(header).split()) or header


def _column(index: int, header: str, role: str, cells: list[str], asked: bool) -> Column:
    if role == "wide":
        return _wide_column(index, header, cells)
    if not role.startswith("params."):
        return Column(index, header, role)
    key, colon, kind = role.removeprefix("params.").rpartition(":")
    if not colon:
        key, kind = kind, ""
    words = presets.words(header).split()
    return Column(index, header, "param", key, kind or guess(words, cells), guessed=not kind)


def _wide_column(index: int, header: str, cells: list[str]) -> Column:
    """A column of our own layout for people: `status@shop`, `p.plan@shop`."""
    field, _, project = header.rpartition("@")
    try:
        clean_slug(project)
    except InvalidInput:
        return Column(index, header, "ignore")
    if field in _WIDE:
        return Column(index, header, field, project=project)
    if field.startswith("p.") and field != "p.":
        kind = guess((), cells)
        return Column(index, header, "param", field[2:], kind, guessed=True, project=project)
    return Column(index, header, "ignore")


def _without_doubles(columns: list[Column], wanted: set[str]) -> list[Column]:
    """One column per role: the mapping's first, then the leftmost; the others become params."""
    taken: dict[tuple[str, str, str | None], Column] = {}
    order = sorted(columns, key=lambda column: column.header not in wanted)
    result = list(columns)
    for column in order:
        if column.role in ("ignore", "params", "profile"):
            continue
        place = (column.role, column.key, column.project)
        if place not in taken:
            taken[place] = column
            continue
        if column.header in wanted or column.role == "param":
            raise InvalidInput(
                f"mapping: columns {ascii(taken[place].header)[:60]} and "
                f"{ascii(column.header)[:60]} are both {column.spelled.partition(':')[0]}; "
                "give one another role",
                field="mapping",
            )
        spare = replace(column, role="param", key=_key(column.header), kind="text", guessed=True)
        result[column.index] = spare
        taken[("param", spare.key, None)] = spare
    return result
