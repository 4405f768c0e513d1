"""A product that is deleted leaves merged people too, so that parting them later still works."""

from __future__ import annotations

from tinycrm_core import TinyCRM


def test_undoing_a_merge_after_a_product_is_gone(crm: TinyCRM) -> None:
    crm.project("kept").identify("keep@example.com")
    crm.project("gone").identify("absorb@example.com", params={"plan": "pro"})
    crm.project("kept").identify("absorb@example.com", status="paid")
    merge = crm.customers.merge("keep@example.com", "absorb@example.com")
    crm.projects.delete("gone")
    crm.customers.undo_merge(merge)
    absorbed = crm.customers.get("absorb@example.com")
    assert absorbed is not None
    assert [(m.project, m.status) for m in absorbed.memberships] == [("kept", "paid")]


def test_a_touch_does_not_bring_a_revoked_key_back(crm: TinyCRM) -> None:
    crm.projects.add("shop")
    crm.keys.create("shop")
    ((key, _),) = crm.keys.list()
    crm.tenant.write(lambda tx: tx.touch_key(key.id, 5))
    assert crm.keys.list()[0][0].last_used_at == 5
    crm.keys.revoke(key.id)
    crm.tenant.write(lambda tx: tx.touch_key(key.id, 6))
    ((revoked, _),) = crm.keys.list()
    assert revoked.revoked_at is not None
    assert revoked.last_used_at == 5
