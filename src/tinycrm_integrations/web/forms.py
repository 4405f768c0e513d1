"""A form that was refused: what was typed, and why it was not done, beside the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tinycrm_core.errors import TinyCRMError
from tinycrm_core.keys import redact
from tinycrm_integrations.web.http import Request

_FIELD = re.compile(r"^\w+: ")


@dataclass(frozen=True, slots=True)
class Form:
    """Values by field, and reasons by field; both empty for a form nobody has sent yet."""

    values: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str, default: str = "") -> str:
        """What was typed, or what stands there at first."""
        return self.values.get(name, default)


def refused(request: Request, name: str, reason: TinyCRMError | str) -> Form:
    """The form as it was sent; `name` is the field the reason belongs to."""
    text = reason if isinstance(reason, str) else sentence(reason)
    return Form(dict(request.form), {name: text})


def sentence(error: TinyCRMError) -> str:
    """An error beside the field it is about, which need not be named again."""
    text = redact(_FIELD.sub("", error.message))
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".?!" else ".")
