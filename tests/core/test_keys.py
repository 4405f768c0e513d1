"""A2: API keys are random, checked offline, never shown by accident."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import random
import string
import timeit
from collections import Counter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycrm_core.errors import InvalidInput, InvalidKey, TinyCRMError
from tinycrm_core.keys import KEY_LENGTH, ApiKey, KeyKind, check_key, hash_key, new_key, redact

BASE62 = string.ascii_letters + string.digits
PREFIX = {"proj": "tcrm_proj_", "acct": "tcrm_acct_"}
kinds = pytest.mark.parametrize("kind", get_args(KeyKind))


def refusal(text: str) -> str:
    """The message with which `text` is refused by every function that takes a key."""
    with pytest.raises(InvalidKey) as caught:
        check_key(text)
    with pytest.raises(InvalidKey):
        hash_key(text)
    assert caught.value.code == "invalid_key"
    assert caught.value.field == "api_key"
    return str(caught.value)


@kinds
def test_A2_a_key_is_prefix_random_and_checksum(kind: KeyKind) -> None:
    key = new_key(kind)
    assert key.kind == kind
    assert key.secret.startswith(PREFIX[kind])
    assert len(key.secret) == KEY_LENGTH == 43
    assert set(key.secret.removeprefix(PREFIX[kind])) <= set(BASE62)
    assert check_key(key.secret) == kind


@kinds
def test_A2_the_hash_is_sha256_of_the_whole_text(kind: KeyKind) -> None:
    key = new_key(kind)
    assert key.hash == hash_key(key.secret) == hashlib.sha256(key.secret.encode()).digest()
    assert len(key.hash) == 32
    assert key.secret.encode() not in key.hash
    assert key.hash.hex() not in key.secret


def test_A2_at_least_160_bits_are_drawn_evenly_from_62_characters() -> None:
    random_part = KEY_LENGTH - len("tcrm_proj_") - 6
    assert random_part * math.log2(62) >= 160
    keys = [new_key("proj").secret for _ in range(4_000)]
    assert len(set(keys)) == len(keys)
    # An even draw exceeds this limit (61 degrees of freedom) in fewer than one run in 10^7.
    expected = len(keys) / 62
    for place in range(len("tcrm_proj_"), len("tcrm_proj_") + random_part):
        counts = Counter(key[place] for key in keys)
        assert sum((counts[char] - expected) ** 2 / expected for char in BASE62) < 150


def test_A2_keys_do_not_follow_from_a_seed() -> None:
    state = random.getstate()
    try:
        random.seed(1)
        first = new_key("proj")
        random.seed(1)
        second = new_key("proj")
    finally:
        random.setstate(state)
    assert first.secret != second.secret


@kinds
def test_A2_every_single_character_typo_is_refused(kind: KeyKind) -> None:
    secret = new_key(kind).secret
    for place, right in enumerate(secret):
        for wrong in set(string.printable) - {right}:
            refusal(secret[:place] + wrong + secret[place + 1 :])
        refusal(secret[:place] + secret[place + 1 :])
        refusal(secret[:place] + "a" + secret[place:])


@kinds
def test_A2_neighbours_swapped_and_the_other_kind_are_refused(kind: KeyKind) -> None:
    secret = new_key(kind).secret
    for place in range(KEY_LENGTH - 1):
        swapped = secret[:place] + secret[place + 1] + secret[place] + secret[place + 2 :]
        if swapped != secret:
            refusal(swapped)
    other = PREFIX["acct" if kind == "proj" else "proj"]
    assert "checksum" in refusal(other + secret.removeprefix(PREFIX[kind]))


MALFORMED = {
    "empty": ("", "43 characters, not 0"),
    "prefix only": ("tcrm_proj_", "43 characters, not 10"),
    "another product's": ("sk_live_" + "a" * 35, "begin with tcrm_proj_ or tcrm_acct_"),
    "unknown kind": ("tcrm_user_" + "a" * 33, "begin with"),
    "capitals": ("TCRM_PROJ_" + "a" * 33, "begin with"),
    "accent": ("tcrm_proj_" + "é" * 33, "other than ASCII"),
    "full-width": ("tcrm_proj_" + "ａ" * 33, "other than ASCII"),
    "other digits": ("tcrm_proj_" + "٣" * 33, "other than ASCII"),
    "surrogate": ("tcrm_proj_" + "\ud800" * 33, "other than ASCII"),
    "NUL": ("tcrm_proj_" + "\x00" * 33, "other than ASCII"),
    "line feed at the end": ("tcrm_proj_" + "a" * 32 + "\n", "other than ASCII"),
    "dash": ("tcrm_proj_" + "-" * 33, "other than ASCII"),
    "10 MB": ("tcrm_proj_" + "a" * 10_000_000, "43 characters, not 10000010"),
}


@pytest.mark.parametrize(("text", "reason"), MALFORMED.values(), ids=MALFORMED)
def test_A2_malformed_keys_are_refused_with_the_reason(text: str, reason: str) -> None:
    assert reason in refusal(text)


@pytest.mark.parametrize("value", [None, 7, b"tcrm_proj_" + b"a" * 33, ["tcrm_proj_"]])
def test_A2_what_is_not_text_is_refused(value: object) -> None:
    assert "must be text" in refusal(value)  # type: ignore[arg-type]


@given(st.one_of(st.text(), st.text(BASE62 + "_é\ud800", min_size=43, max_size=43)))
def test_A2_only_InvalidKey_is_raised(text: str) -> None:
    refusal(text)


def test_A2_a_refusal_never_repeats_the_key() -> None:
    secret = new_key("acct").secret
    broken = [secret[:-1] + ("a" if secret[-1] != "a" else "b"), secret + "x", secret[1:]]
    broken += [secret[:20] + "é" + secret[21:]]
    for text in broken:
        message = refusal(text)
        assert not any(text[at : at + 5] in message for at in range(10, len(text) - 5))


@kinds
def test_A2_a_key_is_shown_by_its_hint_only(kind: KeyKind) -> None:
    key = new_key(kind)
    for shown in (repr(key), str(key), f"{key}", f"{key!r:>99}", str([key])):
        assert key.hint in shown
        assert key.secret not in shown
        assert key.secret[10:-4] not in shown
        assert repr(key.hash) not in shown
    assert key.hint == f"{PREFIX[kind]}…{key.secret[-4:]}"
    # What the hint leaves open is still more than the 128 bits that A2 asks for.
    assert (27 - 4) * math.log2(62) > 136


def test_A2_a_key_cannot_be_changed() -> None:
    key = new_key("proj")
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.secret = "tcrm_proj_"  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["", "user", "PROJ", "proj_", None, 1, []])
def test_A2_there_are_two_kinds_of_key(kind: KeyKind) -> None:
    with pytest.raises(InvalidInput, match=r"'proj' or 'acct'") as caught:
        new_key(kind)
    assert caught.value.field == "kind"


@kinds
def test_A2_redact_hides_keys_inside_text(kind: KeyKind) -> None:
    secret, hidden = new_key(kind).secret, f"{PREFIX[kind]}…"
    for text in (
        "{}",
        "Authorization: Bearer {}\r\n",
        "https://{}@crm.example.com/v1?api_key={}&x=1",
        '{{"api_key": "{}"}}',
        "({}), '{}'; {}.",
        "é{}é",
        "prefix{}",
    ):
        assert redact(text.format(secret, secret, secret)) == text.format(hidden, hidden, hidden)


@kinds
def test_A2_redact_hides_mistyped_cut_and_recased_keys(kind: KeyKind) -> None:
    secret = new_key(kind).secret
    for text in (
        secret[:20],
        secret + "tail",
        secret[:20] + "-" + secret[20:],
        secret.upper(),
        secret.lower(),
        secret + secret,
    ):
        shown = redact(f"key {text} refused")
        assert shown.lower() == f"key {PREFIX[kind]}… refused"


@given(st.text(), st.text())
def test_A2_redact_leaves_the_rest_and_is_idempotent(before: str, after: str) -> None:
    assert redact(before) == before
    secret = new_key("proj").secret
    shown = redact(f"{before} {secret} {after}")
    assert shown == f"{before} tcrm_proj_… {after}"
    assert redact(shown) == shown


def test_A2_redact_leaves_a_hint_readable() -> None:
    key: ApiKey = new_key("proj")
    assert redact(repr(key)) == repr(key)


def test_A2_errors_are_of_the_family() -> None:
    assert issubclass(InvalidKey, TinyCRMError)


def test_A2_checking_and_hashing_take_far_less_than_2_ms() -> None:
    secret = new_key("proj").secret
    runs = timeit.repeat(lambda: (check_key(secret), hash_key(secret)), number=100, repeat=10)
    assert min(runs) / 100 < 0.0002
