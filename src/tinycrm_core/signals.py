"""What a program can listen to; sent after the change is stored.

Receivers are connected with blinker's `connect`. One that raises is logged and does not disturb
the call that sent the signal. Without blinker nothing is sent and connecting says what to install.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinycrm_core.errors import NotSupported

if TYPE_CHECKING:
    from blinker import Signal

    from tinycrm_core.state import MergeState

_log = logging.getLogger("tinycrm")


class _Silent:
    """Stands in for a signal where blinker is not installed."""

    receivers = ()

    def connect(self, receiver: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        raise NotSupported("signals need blinker: pip install 'tinycrm[sql]'")


def _signal(doc: str) -> Signal:
    try:
        from blinker import Signal
    except ImportError:
        return _Silent()  # type: ignore[return-value]
    return Signal(doc)


customer_created = _signal(
    "A person is new: `customer_id`, `email`, `project`; sender is the client."
)
status_changed = _signal(
    "A status differs, or is the first: `customer_id`, `email`, `project`, `old` or None, `new`.",
)
customers_merged = _signal(
    "One became part of another: `merge_id`, `keep_id`, `absorb_id`, `keep`, `absorb`."
)


def send(signal: Signal, sender: object, **what: object) -> None:
    """Tell every receiver; what they raise is logged. Without a sender there is nothing to tell."""
    if sender is None or not signal.receivers:
        return
    for receiver in signal.receivers_for(sender):
        try:
            receiver(sender, **what)
        except Exception:
            _log.exception("a receiver of a TinyCRM signal failed")


def merged(sender: object, record: MergeState) -> None:
    """Tell of a merge that is stored."""
    send(
        customers_merged,
        sender,
        merge_id=record.act,
        keep_id=record.keep_id,
        absorb_id=record.absorb_id,
        keep=record.keep_email,
        absorb=record.absorb_emails[0],
    )
