"""The same questions as SQL by hand, for the ids or the number alone: what nobody gets below."""

from __future__ import annotations

DAY = 86_400_000_000

_PEOPLE = "SELECT c.customer_id FROM tinycrm_customers c WHERE c.account_id = 1"
_BY_SEEN = "ORDER BY c.last_seen_at DESC, c.customer_id DESC LIMIT 51"
_MEMBERSHIPS = "FROM tinycrm_memberships m WHERE m.account_id = 1"
_VALUES = "FROM tinycrm_param_values v WHERE v.account_id = 1"
_ATLAS_FREE = "m.project_id = 1 AND m.status = 'free'"
_BEACON_PAID = "m.project_id = 2 AND m.status = 'paid'"
_ENDS = (
    "v.path = 'trial_ends' AND v.kind = 'd' AND v.num >= {today} AND v.num < {today} + 8 * {day}"
)
_TRIALS = (
    f"SELECT DISTINCT v.customer_id {_VALUES} AND {_ENDS} AND EXISTS (SELECT 1 {_MEMBERSHIPS} AND "
    "m.customer_id = v.customer_id AND m.project_id = v.project_id AND m.status = 'trial')"
)


def _has(condition: str) -> str:
    # Without the plus SQLite reads everybody of a status to find one person.
    condition = condition.replace("m.status", "{plus}m.status")
    return f"EXISTS (SELECT 1 {_MEMBERSHIPS} AND m.customer_id = c.customer_id AND {condition})"


def _search(*words: str) -> str:
    return " AND ".join(f"c.search LIKE '%{word}%'" for word in words)


FLOORS = {
    "page   everybody | -seen": f"{_PEOPLE} {_BY_SEEN}",
    "page   status:trial | -seen": f"""{_PEOPLE} AND {_has("m.status = 'trial'")} {_BY_SEEN}""",
    "page   project:beacon status:paid | -seen": f"{_PEOPLE} AND {_has(_BEACON_PAID)} {_BY_SEEN}",
    "page   project:atlas project:beacon | -seen": f"{_PEOPLE} AND {_has('m.project_id = 1')} "
    f"AND {_has('m.project_id = 2')} {_BY_SEEN}",
    "page   projects>=2 | -seen": f"{_PEOPLE} AND c.project_count >= 2 {_BY_SEEN}",
    "page   status@atlas:free status@beacon:paid | -seen": f"{_PEOPLE} AND {_has(_ATLAS_FREE)} "
    f"AND {_has(_BEACON_PAID)} {_BY_SEEN}",
    "page   seen<-30d | -seen": f"{_PEOPLE} AND c.last_seen_at < {{now}} - 30 * {{day}} {_BY_SEEN}",
    "page   p.source:tiktok | -seen": f"{_PEOPLE} AND c.customer_id IN (SELECT v.customer_id "
    f"{_VALUES} AND v.path = 'source' AND v.kind = 's' AND v.num = 0 AND v.txt = 'tiktok') "
    f"{_BY_SEEN}",
    "page   p.mrr>=99 | -p.mrr": f"SELECT v.customer_id {_VALUES} AND v.path = 'mrr' "
    "AND v.kind = 'n' AND v.num >= 99 ORDER BY v.num DESC, v.txt DESC, v.customer_id DESC LIMIT 51",
    "page   status:trial p.trial_ends:today..+7d | -seen": f"{_PEOPLE} AND c.customer_id IN "
    f"({_TRIALS}) {_BY_SEEN}",
    "page   alex chen | -seen": f"{_PEOPLE} AND {_search('alex', 'chen')} {_BY_SEEN}",
    "count  everybody": "SELECT count(*) FROM tinycrm_customers WHERE account_id = 1",
    "count  status:trial": f"SELECT count(DISTINCT m.customer_id) {_MEMBERSHIPS} "
    "AND m.status = 'trial'",
    "count  project:beacon status:paid": f"SELECT count(*) {_MEMBERSHIPS} AND {_BEACON_PAID}",
    "count  status@atlas:free status@beacon:paid": f"SELECT count(*) {_MEMBERSHIPS} AND "
    f"{_BEACON_PAID} AND EXISTS (SELECT 1 FROM tinycrm_memberships o WHERE o.account_id = 1 "
    "AND o.customer_id = m.customer_id AND o.project_id = 1 AND o.status = 'free')",
    "count  p.source:producthunt": f"SELECT count(DISTINCT v.customer_id) {_VALUES} AND "
    "v.path = 'source' AND v.kind = 's' AND v.num = 0 AND v.txt = 'producthunt'",
    "count  seen<-30d": "SELECT count(*) FROM tinycrm_customers WHERE account_id = 1 "
    "AND last_seen_at < {now} - 30 * {day}",
    "count  status:trial p.trial_ends:today..+7d": f"SELECT count(*) FROM ({_TRIALS}) t",
    "tally  status of everybody": f"SELECT m.status, count(DISTINCT m.customer_id) {_MEMBERSHIPS} "
    "GROUP BY m.status",
    "tally  project of everybody": f"SELECT m.project_id, count(*) {_MEMBERSHIPS} GROUP BY 1",
    "tally  p.source of everybody": f"SELECT v.txt, count(DISTINCT v.customer_id) {_VALUES} AND "
    "v.path = 'source' AND v.kind = 's' AND v.num = 0 GROUP BY v.txt",
}
"""By the name of the question; account 1, with the products of `dataset` in their order."""


def floor(name: str, dialect: str, now: int) -> str | None:
    """The statement for a question at a time, in microseconds, if there is one."""
    plus = "+" if dialect == "sqlite" else ""
    found = FLOORS.get(name)
    return found and found.format(now=now, today=now - now % DAY, day=DAY, plus=plus)
