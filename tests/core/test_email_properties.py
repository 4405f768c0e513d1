"""V1: properties of the canonical email that hold for any text whatever.

TINYCRM_TEST_FULL=1 tries 100,000 examples of each and every code point there is.
"""

from __future__ import annotations

import os
import string
import sys
import unicodedata

import email_validator
import idna
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tinycrm_core import email as module
from tinycrm_core.email import MAX_OCTETS, canonical
from tinycrm_core.errors import InvalidEmail

FULL = os.environ.get("TINYCRM_TEST_FULL") == "1"
often = settings(
    max_examples=100_000 if FULL else 2_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
long_when_full = pytest.mark.timeout(1_800 if FULL else 120)


def accepted(value: object) -> str | None:
    try:
        return canonical(value)
    except InvalidEmail:
        return None


def octets(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def folds(text: str) -> bool:
    """Whether some mix of normalisation and case mapping turns `text` into ASCII."""
    seen, todo = {text}, [text]
    while todo:
        form = todo.pop()
        if form.isascii():
            return True
        further = {unicodedata.normalize(to, form) for to in ("NFC", "NFKC", "NFKD")}
        further |= {form.lower(), form.upper(), form.casefold()}
        todo += further - seen
        seen |= further
    return False


TRICKY = 'aAzZ019.-_+@ "<[]\t\n\x00é\u0301\u0308\u030a\u0338\u0345ßẞıİſKﬁａＡ＠。．｡․℀ǰ;`…'
TRICKY += "אبаЯやア漢\u200b\u200d\u202e\ufeff\u3164\ud800\U0001f600"
labels = st.one_of(
    st.text("abAZ09-", min_size=1, max_size=12),
    st.text(st.characters(categories=["L", "M", "N"]), min_size=1, max_size=8),
    st.sampled_from(
        ["münchen", "XN--MNCHEN-3YA", "xn--strae-oqa", "xn--a", "xn--ls8h", "localhost"]
    ),
    st.text(TRICKY, max_size=6),
)
letters = st.text(st.characters(categories=["Ll", "Lo", "Nd"]), min_size=1, max_size=6)
domains = st.lists(labels, min_size=1, max_size=4).map(".".join)
locals_ = st.one_of(st.text(max_size=12), st.text(TRICKY, max_size=12), st.just("alice"))
addresses = st.one_of(
    st.text(),
    st.text(TRICKY),
    st.builds("{}@{}".format, locals_, domains),
    st.builds("{}@{}.com".format, locals_, labels),
    st.builds("{}@{}.com".format, letters, letters),
    st.builds("{}@example.com".format, locals_),
)


@long_when_full
@often
@given(addresses)
@example("W\u030a@example.com")
@example("E\u0301@example.com")
@example("=\u0338@example.com")
@example("<\u0338@example.com")
@example("alice@" + "ü" * 59 + ".com")
def test_V1_canonical_is_idempotent_and_well_formed(text: str) -> None:
    result = accepted(text)
    if result is None:
        return
    assert canonical(result) == result
    assert type(result) is str
    assert octets(result) <= MAX_OCTETS
    assert result.isprintable()
    assert " " not in result
    assert unicodedata.is_normalized("NFC", result)
    local, domain = result.split("@")
    assert not set(local) & set(string.ascii_uppercase)
    assert domain.isascii()
    assert domain == domain.lower()
    # What is not ASCII as written never arrives at an ASCII address.
    written_local, written_domain = text.split("@")
    assert local.isascii() == written_local.strip(string.whitespace).isascii()
    for before, after in zip(written_domain.split("."), domain.split("."), strict=True):
        assert after.startswith("xn--") or before.isascii()


@long_when_full
@often
@given(addresses)
@example("<\u0338@example.com")
@example("W\u030a@example.com")
def test_V1_composed_and_decomposed_spellings_are_one_person(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    if octets(composed) <= MAX_OCTETS and octets(decomposed) <= MAX_OCTETS:
        assert accepted(composed) == accepted(decomposed)


@long_when_full
@often
@given(addresses)
@example("alice@straße.de")
@example("alice@xn--strae-oqa.de")
def test_V1_an_A_label_is_the_same_domain_as_its_U_label(text: str) -> None:
    result = accepted(text)
    if result is None:
        return
    local, domain = result.split("@")
    spelled = f"{local}@{idna.decode(domain)}"
    assert canonical(f"{local}@{domain.upper()}") == result
    if any(not label.isascii() and folds(label) for label in idna.decode(domain).split(".")):
        assert accepted(spelled) is None
    elif octets(spelled) <= MAX_OCTETS:
        assert canonical(spelled) == result


ascii_labels = st.one_of(
    st.text("aZ9-", max_size=6),
    st.integers(61, 65).map("b".__mul__),
    st.sampled_from(["com", "Example", "test", "localhost", "invalid", "ab--cd", "1", "c1"]),
    st.sampled_from(["XN--mnchen-3ya", "xn--p1ai", "xn--a", "xn--", "xn--4dbc"]),
)
ascii_text = st.characters(max_codepoint=127)
ascii_locals = st.one_of(
    st.text("aZ0.+-_'", min_size=1, max_size=8),
    st.text(ascii_text, max_size=8),
    st.integers(180, 250).map("c".__mul__),
)
ascii_addresses = st.one_of(
    st.text(ascii_text),
    st.builds("{}@{}".format, ascii_locals, st.lists(ascii_labels, max_size=4).map(".".join)),
    st.builds("{}@{}.com".format, ascii_locals, ascii_labels),
)


@long_when_full
@often
@given(ascii_addresses)
@example("A.b+c@Example.test")
@example("a@1.xn--4dbc.com")
@example("a" * 242 + "@example.com")
@example("a" * 243 + "@example.com")
def test_V1_an_ascii_address_is_judged_as_the_library_judges_it(text: str) -> None:
    text = text.strip(string.whitespace)
    # Reserved names are fine here, so the library is asked about an ordinary name instead.
    head, dot, top = text.rpartition(".")
    neutral = "y" * len(top) if top.isalpha() else top
    expected = None
    if octets(text) <= MAX_OCTETS:
        try:
            valid = email_validator.validate_email(
                head + dot + neutral if "@" in head else text, check_deliverability=False
            )
        except email_validator.EmailNotValidError:
            pass
        else:
            assert valid.ascii_email is not None
            expected = valid.ascii_email.lower()
            expected = expected[: len(expected) - len(top)] + top.lower()
    assert accepted(text) == expected


@long_when_full
@often
@given(st.one_of(st.none(), st.binary(), st.floats(), st.lists(st.text()), addresses))
def test_V3_only_InvalidEmail_is_raised_and_its_message_is_short_and_clean(value: object) -> None:
    try:
        canonical(value)
    except InvalidEmail as error:
        message = str(error)
    else:
        return
    assert len(message) <= 160
    assert message.isascii()
    assert message.isprintable()


def swept() -> range | list[int]:
    """Every code point, or by default the letters of most languages and all look-alikes."""
    if FULL:
        return range(sys.maxunicode + 1)
    return [
        point
        for point in range(sys.maxunicode + 1)
        if point < 0x600 or point % 199 == 0 or (point < 0xE0000 and folds(chr(point)))
    ]


@long_when_full
@pytest.mark.parametrize("pattern", ["{}@example.com", "a{}b@example.com", "é{}@example.com"])
def test_V1_every_character_in_the_local_part(pattern: str) -> None:
    for point in swept():
        char = chr(point)
        text = pattern.format(char)
        result = accepted(text)
        if result is None:
            assert not (char.isascii() and char.isalnum())
            continue
        assert canonical(result) == result
        assert char.isprintable()
        expected = unicodedata.normalize("NFC", text)
        assert result == (expected.lower() if char.isascii() else expected)
        assert char.isascii() or not folds(text.partition("@")[0])


@long_when_full
@pytest.mark.parametrize("pattern", ["{}", "a{}b", "é{}"])
def test_V1_every_character_in_a_domain_label(pattern: str) -> None:
    for point in swept():
        char = chr(point)
        label = pattern.format(char)
        result = accepted(f"alice@{label}.com")
        if result is None:
            assert not (char.isascii() and char.isalnum())
            continue
        assert canonical(result) == result
        if "." in label:
            assert result == "alice@a.b.com"
            continue
        stored = result.removeprefix("alice@").removesuffix(".com")
        assert stored == idna.alabel(idna.uts46_remap(label)).decode()
        assert stored.startswith("xn--") or label.isascii()
        assert label.isascii() or not folds(label)


@settings(often, max_examples=200)
@given(
    st.from_regex(module._is_plain.__self__, alphabet=st.characters(codec="ascii"), fullmatch=True)
)
def test_the_short_way_lets_through_what_the_rules_do(text: str) -> None:
    assert module._is_common(text)
