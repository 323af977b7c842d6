"""A PUK goes to one terminal, for one request of two cards; and no card is ever locked by it."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from contract.certificates import spki
from contract.escrow import PukEscrow
from contract.help import HelpRefused, Signed
from contract.helping import HelpReason
from contract.ids import Digest, Guid, TerminalId
from contract.journal import split_lines
from contract.puk import PukRelease, PukReport, PukRequest, PukResult, open_puks
from contract.signing import Envelope, SoftwareSigner, sha256
from contract.wire import decode_base64
from gateway.help.unblocking import TURN_MS, Unblocking, candidates, release, settle
from gateway.store import EscrowRow
from tests.gateway.conftest import World
from tests.gateway.identities import SITE
from tests.gateway.night import BAY, Blocked, Card, key
from tests.gateway.test_spares import Site

FIRST = b"12345678"
AUTHORITY, GATEWAY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


def escrow(guid: Guid, puk: bytes = FIRST, generation: int = 1) -> PukEscrow:
    return PukEscrow.seal(guid, generation, puk, (AUTHORITY.public_key(), GATEWAY.public_key()))


class Night:
    """Amal's PIN is blocked; Bronwen is there; the gateway keeps the PUK."""

    def __init__(self, world: World) -> None:
        self.site = site = Site(world)
        self.world = world
        self.unblocking = Unblocking(
            world.store, world.evidence, site.register, world.authority, GATEWAY
        )
        self.blocked = Blocked(site.amal, site.bronwen, site.batch)
        row = EscrowRow(site.amal.guid, spki(AUTHORITY.public_key()), escrow(site.amal.guid))
        with world.store.write() as tx:
            tx.help.put_escrow(row)

    def request(self) -> Envelope:
        return self.blocked.request(self.site.now_ms)

    def ask(self, envelope: Envelope, terminal: str = BAY) -> bytes:
        return self.unblocking.ask(envelope.to_bytes(), TerminalId(terminal), self.world.now)

    def refused(self, envelope: Envelope, terminal: str = BAY) -> HelpReason:
        with pytest.raises(HelpRefused) as refused:
            self.ask(envelope, terminal)
        return refused.value.reason

    def row(self) -> EscrowRow:
        with self.world.store.read() as tx:
            row = tx.help.escrow(self.site.amal.guid)
        assert row is not None
        return row

    def report(self, request: Envelope, result: PukResult, signer: SoftwareSigner) -> None:
        said = PukReport(
            site=SITE, terminal=BAY, request=request.digest, guid=self.site.amal.guid, result=result
        )
        self.unblocking.report(said.seal(signer).to_bytes(), BAY)


@pytest.fixture
def night(world: World) -> Night:
    return Night(world)


def opened(
    night: Night, answer: bytes, request: Digest, by: ec.EllipticCurvePrivateKey
) -> tuple[bytes, list[bytes]]:
    envelope, _ = split_lines(answer, 2**16)
    said = PukRelease.open(envelope, night.world.authority.statement.public)
    return open_puks(said, request, by)


def test_the_puk_opens_at_this_terminal_for_this_request_and_the_next_one_is_kept_before(
    night: Night,
) -> None:
    request = night.request()
    answer = night.ask(request)
    following, present = opened(night, answer, request.digest, night.blocked.key)
    assert present == [FIRST]
    row = night.row()
    assert row.wanted is not None
    assert row.wanted.open(AUTHORITY) == row.wanted.open(GATEWAY) == following
    for stranger in (ec.generate_private_key(ec.SECP256R1()), GATEWAY):
        with pytest.raises(HelpRefused):
            opened(night, answer, request.digest, stranger)
    with pytest.raises(HelpRefused):  # played to another request of this very terminal
        opened(night, answer, night.request().digest, night.blocked.key)
    night.report(request, PukResult.REPLACED, night.site.batch)
    assert (night.row().present, night.row().wanted) == (row.wanted, None)


def test_asked_twice_it_is_the_same_answer_or_none(night: Night) -> None:
    request = night.request()
    answer = night.ask(request)
    assert night.ask(request) == answer
    assert night.refused(night.request()) is HelpReason.ASKED_TWICE
    inner = night.blocked.sealed(*_parts(request))
    assert inner.digest != request.digest
    assert night.refused(inner) is HelpReason.ASKED_TWICE  # the same terms, signed anew
    night.world.clock.advance(TURN_MS / 1000)
    assert night.refused(request) is HelpReason.ASKED_TWICE


def test_after_a_torn_act_both_that_it_may_hold_are_named(night: Night) -> None:
    request = night.request()
    following, _ = opened(night, night.ask(request), request.digest, night.blocked.key)
    night.world.clock.advance(TURN_MS / 1000)
    again = night.request()
    puks = opened(night, night.ask(again), again.digest, night.blocked.key)
    assert puks == (following, [FIRST, following])
    with pytest.raises(HelpRefused):  # the older release is no longer the newest
        night.report(request, PukResult.REPLACED, night.site.batch)
    night.report(again, PukResult.KEPT, night.site.batch)
    assert night.row().present.open(GATEWAY) == FIRST


def test_the_holder_is_no_witness_of_her_own(night: Night) -> None:
    night.blocked.colleague = night.blocked.card
    assert night.refused(night.request()) is HelpReason.SAME_PERSON
    twin = Card(night.blocked.card.holder)  # another card of hers
    night.site.publish(twin.entitlement)
    night.blocked.colleague = twin
    assert night.refused(night.request()) is HelpReason.SAME_PERSON


def test_a_tap_that_seals_to_another_key_gets_nothing(night: Night) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    forged = night.blocked.request(night.site.now_ms, seal=spki(other))
    assert night.refused(forged) is HelpReason.NOT_BELIEVED


def test_old_records_and_other_terminals_get_nothing(night: Night) -> None:
    old = night.request()
    assert night.refused(old, "bay-2") is HelpReason.NOT_BELIEVED
    night.world.clock.advance(600)
    assert night.refused(old) is HelpReason.NOT_NOW


def test_without_the_colleagues_pin_there_is_no_puk(night: Night) -> None:
    night.blocked.colleague.pin = night.blocked.colleague.tap
    assert night.refused(night.request()) is HelpReason.NOT_PROVED


def test_a_stranger_reports_nothing(night: Night) -> None:
    request = night.request()
    night.ask(request)
    with pytest.raises(HelpRefused):
        night.report(request, PukResult.REPLACED, key())
    assert night.row().wanted is not None


@given(st.lists(st.integers(0, 4), max_size=12))
def test_torn_wherever_it_is_the_card_is_never_locked_and_its_puk_never_lost(
    cuts: list[int],
) -> None:
    """The card's own three tries, and a hand that takes it away after so many exchanges."""
    guid = Guid("6a" * 16)
    row, now_ms, held, tries = EscrowRow(guid, b"", escrow(guid)), 0, FIRST, 3
    for number, cut in enumerate(cuts):
        before, now_ms = row, now_ms + TURN_MS
        fresh = escrow(guid, b"%08d" % number, row.present.generation + 1)
        request = Digest(sha256(b"%d" % number))
        try:
            row = release(row, fresh, request, now_ms)
        except HelpRefused:
            break
        assert row.wanted is not None
        following, result, used, left = row.wanted.open(GATEWAY), PukResult.REFUSED, 0, cut
        for at, puk in enumerate(each.open(GATEWAY) for each in candidates(before)):
            if not left:
                break
            left -= 1
            if puk == held:
                tries, result, used = 3, PukResult.KEPT, at
                break
            tries -= 1
        if result is PukResult.KEPT and left:
            held, result, left = following, PukResult.REPLACED, left - 1
            if left:
                report = PukReport(
                    site=SITE, terminal=BAY, request=request, guid=guid, result=result, used=used
                )
                row = settle(row, candidates(before), report)
                assert row.present.open(GATEWAY) == held
        assert tries > 0
        assert held in [each.open(GATEWAY) for each in candidates(row)]


def _parts(request: Envelope) -> tuple[bytes, Signed, Signed]:
    """What `Blocked.sealed` takes."""
    said = PukRequest.from_bytes(decode_base64(request.payload))
    return decode_base64(said.terms), said.tap, said.proof
