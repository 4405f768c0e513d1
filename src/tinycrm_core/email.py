"""The canonical email: the one spelling under which a person is known.

`canonical()` is the only way an address enters TinyCRM, so two spellings of one address always
meet on one row, and no two people ever do:

- ASCII letters are lower-cased before and after the @. Plus tags and dots stay as written.
- The domain becomes its IDNA A-label form: `münchen.de` and `XN--MNCHEN-3YA.de` are the same.
- A non-ASCII local part is normalised to NFC and keeps the case of its non-ASCII letters.
- A local part or a domain label that is not ASCII but reads as ASCII once its characters are
  folded (full-width letters, the Kelvin sign, `straße`) is refused, and so is any stand-in for
  `@` or `.`. Written as an A-label, such a domain says exactly what it means and is accepted.
- Refused as well: quoted local parts, addresses in brackets, domains without a dot, and control,
  invisible, zero-width, bidi, private-use and unassigned characters. Outer ASCII whitespace is
  trimmed.
- Domains reserved for development (`.test`, `.local`, `.example`) are like any other.

Plain ASCII addresses need nothing but Python. Addresses with non-ASCII characters or `xn--`
labels are judged by the email-validator and idna packages, the extra `tinycrm[email]`.
"""

from __future__ import annotations

import re
import string
import unicodedata

from tinycrm_core.errors import InvalidEmail

MAX_OCTETS = 254
"""The longest address, in UTF-8 octets, as written (trimmed) and as returned."""

# Room for surrounding whitespace; beyond it the text is not even trimmed.
_MAX_UNTRIMMED = 1024
_MAX_LABEL = 63
_LOOKS_ASCII_IN_DOMAIN = "email has a domain label that is not ASCII but would read as ASCII"

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]++"
# (?!..--): hyphens in the third and fourth place are reserved; xn-- goes to the IDNA library.
_LABEL = r"(?!..--)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# No possessive group: before 3.11.4 Python lets one match what it must not.
_is_common = re.compile(
    rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?=[A-Za-z0-9-]*[A-Za-z]\Z){_LABEL}\Z"
).match

# Most of those, in half the time: no hyphen in the domain, and nothing but letters at its end.
_is_plain = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@(?:[A-Za-z0-9]{{1,63}}\.)+[A-Za-z]{{1,63}}\Z").match

_FOREIGN = "\x80-\U0010ffff"
_not_in_local = re.compile(rf"[^A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.{_FOREIGN}-]").search
_not_in_domain = re.compile(rf"[^A-Za-z0-9.{_FOREIGN}-]").search
_a_label = re.compile(r"(?:\A|\.)xn--", re.ASCII | re.IGNORECASE).search
_alphabetic = re.compile(r"[A-Za-z]+\Z").match

# Rendered as nothing or as blank although Unicode files them under letters, marks and symbols.
_blank = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
).match
_lower_ascii = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def canonical(email: object) -> str:
    """Return the canonical form of `email`, a plain `str` of at most 254 octets.

    Idempotent: `canonical(canonical(x)) == canonical(x)`. Raises `InvalidEmail`, which names the
    problem and never repeats the address, for everything that is not an acceptable address,
    including values that are not text. Never raises anything else.
    """
    # Length first: no pattern ever runs over an unbounded value.
    if type(email) is str and len(email) <= MAX_OCTETS and _is_plain(email):
        return email.lower()
    text = _trimmed(email)
    if _is_common(text):
        return text.lower()
    _check_characters(text)
    local, domain = _split(unicodedata.normalize("NFC", text))
    _check_local(local)
    _check_domain(domain)
    if text.isascii() and not _a_label(domain):
        # The checks name every reason there is; if one were missing, still refuse.
        raise InvalidEmail("email is not a valid address")
    return _international(local, domain)


def _trimmed(email: object) -> str:
    if not isinstance(email, str):
        raise InvalidEmail(f"email must be text, not {type(email).__name__}")
    # str.__str__ rather than str(): a subclass (enum, markup) may override anything.
    text = str.__str__(email)
    if len(text) > _MAX_UNTRIMMED:
        raise InvalidEmail(f"email is longer than {MAX_OCTETS} octets")
    text = text.strip(string.whitespace)
    if not text:
        raise InvalidEmail("email is empty")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_OCTETS:
        raise InvalidEmail(f"email is longer than {MAX_OCTETS} octets")
    return text


def _check_characters(text: str) -> None:
    """Refuse what cannot be seen, and single characters that others take for ASCII ones."""
    for char in text:
        if unicodedata.category(char)[0] in "CZ" or _blank(char):
            raise InvalidEmail(
                f"email contains {_named(char)}: whitespace, control and invisible"
                " characters are not accepted"
            )
        if char.isascii():
            continue
        folded = unicodedata.normalize("NFKC", char)
        if "@" in folded or "." in folded or folded == "\u3002":
            raise InvalidEmail(f"email contains {_named(char)} in place of '@' or '.'")
        if unicodedata.normalize("NFC", char).isascii():
            raise InvalidEmail(f"email contains {_named(char)} in place of an ASCII character")


def _split(text: str) -> tuple[str, str]:
    local, at, domain = text.partition("@")
    if not at:
        raise InvalidEmail("email has no @")
    if local.startswith('"'):
        raise InvalidEmail("email is quoted before the @; quoted addresses are not accepted")
    if "@" in domain:
        raise InvalidEmail("email has more than one @")
    return local, domain


def _check_local(local: str) -> None:
    if not local:
        raise InvalidEmail("email has nothing before the @")
    if stray := _not_in_local(local):
        raise InvalidEmail(f"email contains {_named(stray[0])} before the @")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise InvalidEmail("email has a misplaced dot before the @")
    if _looks_ascii(local):
        raise InvalidEmail("email is not ASCII before the @ but would read as ASCII")


def _check_domain(domain: str) -> None:
    if not domain:
        raise InvalidEmail("email has nothing after the @")
    if domain.startswith("["):
        raise InvalidEmail("email has an IP address after the @; a domain name is needed")
    if stray := _not_in_domain(domain):
        raise InvalidEmail(f"email contains {_named(stray[0])} after the @")
    labels = domain.split(".")
    if "" in labels:
        raise InvalidEmail("email has a misplaced dot after the @")
    if len(labels) == 1:
        raise InvalidEmail("email has a domain without a dot")
    for label in labels:
        if len(label) > _MAX_LABEL:
            raise InvalidEmail(f"email has a domain label longer than {_MAX_LABEL} characters")
        if label.startswith("-") or label.endswith("-"):
            raise InvalidEmail("email has a domain label that begins or ends with a hyphen")
        if label[2:4] == "--" and label[:2].lower() != "xn":
            raise InvalidEmail("email has a domain label with hyphens in third and fourth place")
        if _looks_ascii(label):
            raise InvalidEmail(_LOOKS_ASCII_IN_DOMAIN)
    if labels[-1].isascii() and not labels[-1][-1].isalpha():
        raise InvalidEmail("email has a top-level domain that does not end with a letter")


def _looks_ascii(part: str) -> bool:
    # For every code point this fold reaches ASCII whenever any mix of NFC, NFKC, lower, upper
    # and casefold does: upper() catches the dotless i, casefold() the sharp s in both cases.
    if part.isascii():
        return False
    return unicodedata.normalize("NFKC", part).upper().casefold().isascii()


def _international(local: str, domain: str) -> str:
    """Canonicalise an NFC address that needs Unicode or IDNA rules."""
    # Normalised once more because a lower-case letter may compose with a mark where the
    # upper-case one does not (W and ring above).
    local = unicodedata.normalize("NFC", local.translate(_lower_ascii))
    address = f"{local}@{_encoded(local, domain)}"
    if len(address.encode()) > MAX_OCTETS:
        raise InvalidEmail(f"email is longer than {MAX_OCTETS} octets once its domain is encoded")
    return address


def _encoded(local: str, domain: str) -> str:
    """Have the libraries judge the whole address; return its domain in A-label form."""
    try:
        import idna
        from email_validator import validate_email
    except ImportError:
        raise InvalidEmail(
            "email is internationalised, which needs an extra: pip install 'tinycrm[email]'"
        ) from None
    # What a program makes of email-validator's global settings must not change who is who: every
    # option that matters is given, and since the list of reserved names is none, a neutral last
    # label stands in for an ordinary one, which adds nothing to the judgement.
    head, _, top = domain.rpartition(".")
    ordinary = _alphabetic(top) is not None
    try:
        encoded = validate_email(
            f"{local}@{head}.x" if ordinary else f"{local}@{domain}",
            check_deliverability=False,
            globally_deliverable=True,
            strict=False,
            allow_smtputf8=True,
            allow_quoted_local=False,
            allow_domain_literal=False,
            allow_display_name=False,
        ).ascii_domain
        for before, after in zip(domain.split("."), encoded.split("."), strict=True):
            if after.startswith("xn--"):
                # Releases of idna differ in whether they refuse a second spelling of a label.
                if idna.alabel(idna.ulabel(after)).decode("ascii") != after:
                    raise InvalidEmail("email has a domain label that is not a valid A-label")
            elif not before.isascii():
                # The library's Unicode tables, newer than Python's, may know more look-alikes.
                raise InvalidEmail(_LOOKS_ASCII_IN_DOMAIN)
    except InvalidEmail:
        raise
    except ValueError as error:  # the base of every error of both libraries
        where = "domain" if local.isascii() else "address"
        raise InvalidEmail(f"email is not a valid internationalised {where}") from error
    return encoded.removesuffix("x") + top.lower() if ordinary else encoded


def _named(char: str) -> str:
    name = unicodedata.name(char, "")
    return f"U+{ord(char):04X} ({name})" if name else f"U+{ord(char):04X}"
