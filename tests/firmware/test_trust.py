"""Which statements a terminal believes, and why not the others."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from contract.directory import EntryKind, Removed, Status
from contract.ids import KeyId, SiteId, Version
from contract.signing import SoftwareSigner
from contract.tap import DirectoryVersion
from firmware_py.trust.statements import (
    Apply,
    Beat,
    Fault,
    GapTo,
    Held,
    Refused,
    Replace,
    Standing,
    UpToDate,
    judge_change,
    judge_heartbeat,
    judge_keys,
)
from tests.firmware.rights import (
    GUID,
    KEYS,
    NOW_MS,
    OTHER_GUID,
    ROOT_FINGERPRINT,
    SITE,
    Gateway,
    entitlement,
    fault,
    key_envelope,
    key_statement,
    keys,
    log_signer,
    policy,
    signer,
    terminal,
)


def applied(gateway: Gateway, held: Held, *entries: Any) -> Held:  # noqa: ANN401 - any entry
    verdict = judge_change(gateway.change(*entries), KEYS, held)
    assert isinstance(verdict, Apply)
    return verdict.change.held


# ---- the key statement ---------------------------------------------------------------------


def test_a_key_statement_by_the_pinned_root_is_believed() -> None:
    held = keys()
    assert (held.site, held.epoch) == (SITE, 1)
    assert held.statement_key == signer("statement-1").public
    assert held.log_key == log_signer().public


def test_the_same_key_statement_is_up_to_date_and_a_higher_epoch_replaces_it() -> None:
    first = key_envelope(1).to_bytes()
    verdict = judge_keys(first, ROOT_FINGERPRINT, SITE, None)
    assert isinstance(verdict, Replace)
    held = verdict.keys
    assert judge_keys(first, ROOT_FINGERPRINT, SITE, held) == UpToDate()
    later = judge_keys(key_envelope(2).to_bytes(), ROOT_FINGERPRINT, SITE, held)
    assert isinstance(later, Replace)
    assert later.keys.statement_key == signer("statement-2").public


def test_an_older_key_statement_is_a_roll_back() -> None:
    verdict = judge_keys(key_envelope(1).to_bytes(), ROOT_FINGERPRINT, SITE, keys(2))
    assert fault(verdict) is Fault.ROLLED_BACK


def test_two_key_statements_of_one_epoch_are_a_fork() -> None:
    other = key_envelope(1, issued_ms=NOW_MS + 1).to_bytes()
    assert fault(judge_keys(other, ROOT_FINGERPRINT, SITE, keys(1))) is Fault.FORKED


def test_another_root_is_not_believed_though_its_statement_is_in_order() -> None:
    other = signer("another root")
    theirs = key_statement(root=other.public.to_base64()).seal(other).to_bytes()
    assert fault(judge_keys(theirs, ROOT_FINGERPRINT, SITE, None)) is Fault.WRONG_ROOT


def test_another_root_that_claims_the_pinned_ones_name_is_not_believed() -> None:
    other = signer("another root")
    honest = key_statement(root=other.public.to_base64()).seal(other)
    named = honest.signatures[0].model_copy(update={"keyid": ROOT_FINGERPRINT})
    claimed = honest.model_copy(update={"signatures": (named,)}).to_bytes()
    assert fault(judge_keys(claimed, ROOT_FINGERPRINT, SITE, None)) is Fault.WRONG_ROOT


def test_a_statement_that_names_the_root_but_is_signed_by_another_is_not_believed() -> None:
    forged = key_statement().seal(signer("another root"))
    named = forged.signatures[0].model_copy(update={"keyid": ROOT_FINGERPRINT})
    claimed = forged.model_copy(update={"signatures": (named,)}).to_bytes()
    assert fault(judge_keys(claimed, ROOT_FINGERPRINT, SITE, None)) is Fault.SIGNATURE


def test_another_site_under_the_same_root_is_not_ours() -> None:
    theirs = key_envelope(1, site=SiteId("other-hospital")).to_bytes()
    assert fault(judge_keys(theirs, ROOT_FINGERPRINT, SITE, None)) is Fault.WRONG_SITE


def test_keys_of_another_kind_than_their_use_are_refused() -> None:
    swapped = key_envelope(statement_key=log_signer().public.to_base64()).to_bytes()
    assert fault(judge_keys(swapped, ROOT_FINGERPRINT, SITE, None)) is Fault.MALFORMED


# ---- changes -------------------------------------------------------------------------------


def test_the_first_change_and_the_one_after_it_apply() -> None:
    gateway = Gateway()
    first = judge_change(gateway.change(entitlement(), terminal(), policy()), KEYS, Held())
    assert isinstance(first, Apply)
    assert first.change.held == Held(Version(1, 1), gateway.head, gateway.issued_ms)
    assert [row.key for row in first.change.rows] == [
        (EntryKind.ENTITLEMENT, GUID),
        (EntryKind.TERMINAL, "resus-1"),
        (EntryKind.POLICY, "resus"),
    ]
    gone = Removed(kind=EntryKind.ENTITLEMENT, id=GUID, salt=secrets.token_hex(16))
    second = judge_change(gateway.change(gone), KEYS, first.change.held)
    assert isinstance(second, Apply)
    assert second.change.rows[0].line is None


def test_a_change_says_which_cards_it_makes_lost() -> None:
    gateway = Gateway()
    message = gateway.change(
        entitlement(status=Status.LOST), entitlement(guid=OTHER_GUID, status=Status.REVOKED)
    )
    verdict = judge_change(message, KEYS, Held())
    assert isinstance(verdict, Apply)
    assert verdict.change.lost == {GUID}


def test_a_change_heard_twice_or_late_is_up_to_date() -> None:
    gateway = Gateway()
    first = gateway.change(entitlement())
    one = judge_change(first, KEYS, Held())
    assert isinstance(one, Apply)
    assert judge_change(first, KEYS, one.change.held) == UpToDate()
    two = applied(gateway, one.change.held, policy())
    assert judge_change(first, KEYS, two) == UpToDate()


def test_a_missing_change_is_a_gap() -> None:
    gateway = Gateway()
    held = applied(gateway, Held(), entitlement())
    gateway.change(policy())
    assert judge_change(gateway.change(terminal()), KEYS, held) == GapTo(Version(1, 3))


def test_another_change_under_the_version_held_is_a_fork() -> None:
    gateway = Gateway()
    held = applied(gateway, Held(), entitlement())
    again = Gateway().change(entitlement(guid=OTHER_GUID))
    assert fault(judge_change(again, KEYS, held)) is Fault.FORKED


def test_the_next_change_upon_another_past_is_a_fork() -> None:
    held = applied(Gateway(), Held(), entitlement())
    elsewhere = Gateway()
    elsewhere.change(policy())
    assert fault(judge_change(elsewhere.change(terminal()), KEYS, held)) is Fault.FORKED


def test_a_change_of_a_new_epoch_goes_on_from_the_old_ones_head() -> None:
    gateway = Gateway()
    held = applied(gateway, Held(), entitlement())
    gateway.epoch = 2
    message = gateway.change(policy())
    assert fault(judge_change(message, KEYS, held)) is Fault.KEY_UNKNOWN
    verdict = judge_change(message, keys(2), held)
    assert isinstance(verdict, Apply)
    assert verdict.change.held.version == Version(2, 1)


def test_the_first_change_of_a_new_epoch_upon_another_past_is_had_by_snapshot() -> None:
    """The gateway came back from a back-up: nothing is applied upon what it does not know of."""
    gateway = Gateway()
    held = applied(gateway, Held(), entitlement())
    restored = Gateway()
    restored.change(policy())
    restored.epoch = 2
    assert judge_change(restored.change(terminal()), keys(2), held) == GapTo(Version(2, 1))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"site": SiteId("other-hospital")}, Fault.WRONG_SITE),
        ({"version": DirectoryVersion(epoch=2, n=1)}, Fault.KEYS_OLD),
        ({"entries": ("ab" * 32,)}, Fault.BODY),
        ({"entries": ("ab" * 32, "cd" * 32)}, Fault.BODY),
    ],
)
def test_a_change_that_is_not_as_it_should_be(changes: dict[str, Any], expected: Fault) -> None:
    assert fault(judge_change(Gateway().change(entitlement(), **changes), KEYS, Held())) is expected


def test_an_entry_exchanged_on_the_way_is_refused() -> None:
    message = Gateway().change(entitlement(status=Status.REVOKED))
    swapped = message.replace(b'"revoked"', b'"active"')
    assert swapped != message
    assert fault(judge_change(swapped, KEYS, Held())) is Fault.BODY


def test_a_change_signed_by_somebody_else_is_refused() -> None:
    gateway = Gateway(epoch=7)  # its key is in no key statement held
    assert fault(judge_change(gateway.change(entitlement()), KEYS, Held())) is Fault.KEY_UNKNOWN


# ---- heartbeats ----------------------------------------------------------------------------


def test_a_heartbeat_confirms_what_is_held_or_says_that_there_is_more() -> None:
    gateway = Gateway()
    held = applied(gateway, Held(), entitlement())
    now = judge_heartbeat(gateway.beat(NOW_MS + 100), KEYS, held)
    assert isinstance(now, Beat)
    assert (now.standing, now.heartbeat.issued_ms) == (Standing.CONFIRMS, NOW_MS + 100)
    gateway.change(policy())
    more = judge_heartbeat(gateway.beat(NOW_MS + 200), KEYS, held)
    assert isinstance(more, Beat)
    assert more.standing is Standing.AHEAD


def test_a_heartbeat_of_an_empty_site_confirms_an_empty_terminal() -> None:
    beat = judge_heartbeat(Gateway().beat(NOW_MS), KEYS, Held())
    assert isinstance(beat, Beat)
    assert beat.standing is Standing.CONFIRMS


def test_a_directory_rolled_back_at_the_gateway_is_refused() -> None:
    gateway = Gateway()
    old = applied(gateway, Held(), entitlement())
    held = applied(gateway, old, policy())
    before: dict[str, Any] = {"version": DirectoryVersion.of(old.version), "head": old.head}
    rolled_back = gateway.beat(held.issued_ms + 1, **before)
    assert fault(judge_heartbeat(rolled_back, KEYS, held)) is Fault.ROLLED_BACK
    verdict = judge_heartbeat(gateway.beat(held.issued_ms, **before), KEYS, held)
    assert isinstance(verdict, Refused)
    assert verdict.fault is Fault.LATE
    assert not verdict.alarming


def test_a_heartbeat_that_names_another_head_is_a_fork() -> None:
    gateway = Gateway()
    held = applied(gateway, Held(), entitlement())
    other = gateway.beat(NOW_MS + 100, head="ab" * 32)
    assert fault(judge_heartbeat(other, KEYS, held)) is Fault.FORKED


def test_a_heartbeat_is_no_change_and_a_change_no_heartbeat() -> None:
    gateway = Gateway()
    assert fault(judge_change(gateway.beat(NOW_MS), KEYS, Held())) is Fault.SIGNATURE
    envelope = gateway.change(entitlement()).split(b"\n")[0]
    assert fault(judge_heartbeat(envelope, KEYS, Held())) is Fault.SIGNATURE


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"site": SiteId("other-hospital")}, Fault.WRONG_SITE),
        ({"version": DirectoryVersion(epoch=2, n=1)}, Fault.KEYS_OLD),
    ],
)
def test_a_heartbeat_that_is_not_ours(changes: dict[str, Any], expected: Fault) -> None:
    assert fault(judge_heartbeat(Gateway().beat(NOW_MS, **changes), KEYS, Held())) is expected


# ---- whatever bytes come -----------------------------------------------------------------------

_STRANGER = SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))
_GENUINE = [
    key_envelope(1).to_bytes(),
    Gateway().change(entitlement(), policy()),
    Gateway().beat(NOW_MS),
    key_statement().seal(_STRANGER).to_bytes(),
]


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A genuine statement with some of its bytes changed, cut, doubled or moved."""
    data = draw(st.sampled_from(_GENUINE))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        to = draw(st.integers(at, min(len(data), at + 40)))
        instead = draw(
            st.one_of(
                st.binary(max_size=4),
                st.sampled_from(
                    [b"", b"\n", b'"', b"\\u0000", b"{", b"]", b"1e9", data[at:to] * 2]
                ),
            )
        )
        data = data[:at] + instead + data[to:]
    return data


def judge_all(data: bytes) -> list[object]:
    root = KeyId(ROOT_FINGERPRINT)
    return [
        judge_keys(data, root, SITE, None),
        judge_change(data, KEYS, Held()),
        judge_heartbeat(data, KEYS, Held()),
    ]


@given(spoilt())
def test_spoilt_statements_are_refused_and_nothing_else_happens(data: bytes) -> None:
    if data not in _GENUINE:
        assert all(isinstance(verdict, Refused) for verdict in judge_all(data))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    assert all(isinstance(verdict, Refused) for verdict in judge_all(data))
