"""What is a fault, and what asks the running code to stop."""

from __future__ import annotations

from asyncio import CancelledError

_PASSING = (KeyboardInterrupt, SystemExit, GeneratorExit, CancelledError)
# Their timeouts and kills are BaseExceptions that travel through whatever code is running.
_SWITCHING = {"gevent", "greenlet", "eventlet"}


def is_fault(error: BaseException) -> bool:
    """Whether something is broken, be it only a BaseException, as a panic of an extension is.

    False for what asks the process, the coroutine or the greenlet to stop.
    """
    if isinstance(error, Exception):
        return True
    roots = {each.__module__.partition(".")[0] for each in type(error).__mro__}
    return not isinstance(error, _PASSING) and roots.isdisjoint(_SWITCHING)
