"""Everything TinyCRM refuses, as exceptions a program can tell apart.

Every refusal names the field, what is wrong with the value and, where there is one, the limit.
The same sentence appears in a traceback, in an HTTP error, on the command line and in the
reject file of an import.
"""

from __future__ import annotations


class TinyCRMError(Exception):
    """Base of every error raised on purpose.

    `code` is a stable word for machines, `field` names the input at fault (or is None), and
    `str(error)` is a sentence for people. Neither ever contains an API key or a database
    password.
    """

    code = "error"

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class InvalidInput(TinyCRMError, ValueError):
    """Input that breaks a rule; nothing was written."""

    code = "invalid"


class InvalidEmail(InvalidInput):
    """Not an address TinyCRM can use as a person's identity."""

    code = "invalid_email"

    def __init__(self, message: str, *, field: str | None = "email") -> None:
        super().__init__(message, field=field)


class InvalidStatus(InvalidInput):
    """A status that is not one of the four."""

    code = "invalid_status"

    def __init__(self, message: str, *, field: str | None = "status") -> None:
        super().__init__(message, field=field)


class InvalidParams(InvalidInput):
    """Params that JSON, a limit or one of the databases cannot carry; `field` is the path."""

    code = "invalid_params"


class InvalidTime(InvalidInput):
    """An event time that is not a time, or lies outside the years 1970 to 9999."""

    code = "invalid_time"


class InvalidFilter(InvalidInput):
    """A filter, sort or page that cannot be understood.

    `position` is the offset in the text at which reading stopped (None for trees and pairs);
    `choices` lists what exists there, so that a caller can offer it.
    """

    code = "invalid_filter"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = "filter",
        position: int | None = None,
        choices: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, field=field)
        self.position = position
        self.choices = choices


class InvalidKey(TinyCRMError):
    """Text that is not an API key: wrong prefix, length, character or checksum."""

    code = "invalid_key"

    def __init__(self, message: str, *, field: str | None = "api_key") -> None:
        super().__init__(message, field=field)


class NotFound(TinyCRMError, LookupError):
    """The customer, project, segment, merge, batch or key asked for does not exist here."""

    code = "not_found"


class Conflict(TinyCRMError):
    """The request contradicts what is stored, e.g. a slug that is taken."""

    code = "conflict"


class Forgotten(TinyCRMError):
    """This address asked to be forgotten; TinyCRM refuses to store it again."""

    code = "forgotten"

    def __init__(self, message: str, *, field: str | None = "email") -> None:
        super().__init__(message, field=field)


class NotSupported(TinyCRMError):
    """The call is right but not available here, e.g. reading through a remote client."""

    code = "not_supported"


class StoreError(TinyCRMError):
    """The database cannot be used: unreachable, locked, full, corrupt or not ours."""

    code = "store"


class Retry(StoreError):
    """A deadlock or a lost race: nothing was written, and the same work may be tried again."""

    code = "retry"


class TookTooLong(StoreError):
    """A question was given up, because its answer took longer than it may."""

    code = "took_too_long"


class SchemaError(StoreError):
    """The tables are older or newer than this version of TinyCRM."""

    code = "schema"


class Undelivered(TinyCRMError):
    """The other side did not take events: unreachable, overloaded, or it refuses the request.

    `later` tells that the same request may succeed later, `after` how many seconds the other side
    asked to wait (or None), and `split` that it may succeed in smaller pieces. `status` is the
    HTTP status, or None if no answer came.
    """

    code = "undelivered"

    def __init__(
        self,
        message: str,
        *,
        later: bool = False,
        split: bool = False,
        after: float | None = None,
        status: int | None = None,
        field: str | None = None,
    ) -> None:
        super().__init__(message, field=field)
        self.later = later
        self.split = split
        self.after = after
        self.status = status
