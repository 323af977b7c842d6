"""The site's keys change while the terminal runs: it follows the root's word, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from contract.events import AlarmCode, ClockTrust
from contract.ids import Version
from contract.journal import Receipt
from contract.signing import Envelope, SoftwareSigner, sha256
from contract.succession import RootSuccession, follow, join_line, split_line
from firmware_py.evidence import checkpoints
from firmware_py.evidence.checkpoints import LogTrust
from firmware_py.fetch import FetchFailed, NotBelieved
from firmware_py.trust.heard import Asked, HeartbeatHeard
from runtime.clock import ManualClock
from tests.firmware import rights
from tests.firmware.fake_site import FakeSite
from tests.firmware.ship import Ship
from tests.firmware.test_checkpoints import Desk, alarm_codes, desk
from tests.firmware.test_fetch import Site, site
from tests.firmware.test_upkeep import DEADLINE_S, Keeping, keeping
from tests.ward.pki import Authority

__all__ = ["desk", "keeping", "site"]  # fixtures

NONCE = "ab" * 32
KEYS_OF = {1: rights.KEYS.envelope, 2: rights.key_envelope(2)}


def say(keeping: Keeping, envelope: Envelope) -> None:
    keeping.custody.hear_keys(envelope.to_bytes())


def ask_and_answer(keeping: Keeping, later_ms: int) -> None:
    now_ns = keeping.clock.monotonic_ns()
    keeping.custody.asked(Asked(NONCE, now_ns))
    answer = keeping.site.gateway.beat(rights.NOW_MS + later_ms, NONCE)
    keeping.custody.hear_heartbeat(HeartbeatHeard(answer, now_ns, answer=True))


async def until_judged(keeping: Keeping) -> None:
    """Until upkeep sleeps again."""
    async with asyncio.timeout(DEADLINE_S):
        while keeping.custody.keys_heard is not None:
            await keeping.clock.next_deadline()
            await asyncio.sleep(0)


async def test_a_key_statement_that_is_said_is_believed_by_the_root_alone(
    keeping: Keeping,
) -> None:
    stranger = rights.key_statement(2).seal(rights.signer("somebody"))
    say(keeping, stranger)
    await until_judged(keeping)
    assert keeping.custody.kept.keys.epoch == 1
    assert keeping.alarms == [AlarmCode.STATEMENT_REFUSED]
    say(keeping, KEYS_OF[2])
    async with asyncio.timeout(DEADLINE_S):
        await keeping.keys_taken.wait()
    assert keeping.custody.kept.keys.epoch == 2
    assert keeping.folder.trust.remembered.keys == KEYS_OF[2].to_bytes()
    say(keeping, KEYS_OF[1])
    await until_judged(keeping)
    assert keeping.custody.kept.keys.epoch == 2
    assert "keys" not in keeping.site.asked


def succession(next_root: str, signed_by: str = "root", **changes: object) -> Envelope:
    fields: dict[str, object] = {
        "site": rights.SITE,
        "root": rights.signer(signed_by).public.to_base64(),
        "next": rights.signer(next_root).public.to_base64(),
        "epoch": 2,
        "issued_ms": rights.NOW_MS,
    }
    declared = RootSuccession.model_validate({**fields, **changes})
    return declared.seal(rights.signer(signed_by))


def under(root: str, epoch: int) -> Envelope:
    """A key statement that another root signs."""
    key = rights.signer(root)
    return rights.key_statement(epoch, root=key.public.to_base64()).seal(key)


async def test_a_new_root_is_believed_by_the_word_of_the_one_before_also_after_a_restart(
    keeping: Keeping,
) -> None:
    keeping.site.roots_line = join_line([succession("second"), succession("third", "second")])
    say(keeping, under("third", 3))
    async with asyncio.timeout(DEADLINE_S):
        await keeping.keys_taken.wait()
    assert keeping.custody.kept.keys.epoch == 3
    assert keeping.alarms == []
    kept = keeping.folder.trust.remembered.roots
    assert kept == keeping.site.roots_line
    roots = follow(rights.ROOT_FINGERPRINT, rights.SITE, split_line(kept))
    assert roots[-1] == keeping.custody.kept.fingerprint
    # What the first root signs counts no more.
    say(keeping, rights.key_envelope(4))
    await until_judged(keeping)
    assert keeping.custody.kept.keys.epoch == 3
    assert keeping.alarms == [AlarmCode.STATEMENT_REFUSED]


@pytest.mark.parametrize(
    "line",
    [
        [],
        [succession("second", "somebody")],
        [succession("second", root=rights.signer("somebody").public.to_base64())],
        [succession("second", site="elsewhere")],
        [succession("second"), succession("root", "second")],
        [succession("other")],
    ],
    ids=["none", "by another", "names another", "of another site", "in a circle", "to another"],
)
async def test_a_new_root_that_the_one_before_did_not_declare_is_refused(
    keeping: Keeping, line: list[Envelope]
) -> None:
    keeping.site.roots_line = join_line(line)
    say(keeping, under("second", 2))
    await until_judged(keeping)
    async with asyncio.timeout(DEADLINE_S):
        while not keeping.alarms:
            await keeping.clock.next_deadline()
            await asyncio.sleep(0)
    assert keeping.custody.kept.keys.epoch == 1
    assert keeping.alarms == [AlarmCode.STATEMENT_REFUSED]


async def test_the_clock_runs_on_under_new_keys_until_their_first_answer(
    keeping: Keeping,
) -> None:
    keeping.hear(keeping.site.change(rights.terminal(), rights.policy()))
    await keeping.until_held(Version(1, 1))
    ask_and_answer(keeping, 1_000 * 3_600_000)  # a gateway whose clock ran ahead by weeks
    assert keeping.custody.freshness().clock is ClockTrust.SITE
    questions: list[bool] = []
    keeping.custody.on_question = lambda: questions.append(True)
    say(keeping, rights.key_envelope(2))
    async with asyncio.timeout(DEADLINE_S):
        await keeping.keys_taken.wait()
    assert keeping.custody.freshness().clock is ClockTrust.SITE
    assert questions == [True]
    keeping.site.gateway.epoch = 2
    ask_and_answer(keeping, 5_000)
    assert keeping.custody.freshness().now_ms == rights.NOW_MS + 5_000


async def test_a_version_of_a_later_epoch_is_no_alarm_and_asks_for_the_keys(
    keeping: Keeping,
) -> None:
    """Only the log's key was replaced: the directory's goes on signing, under the next epoch."""
    same = rights.signer("statement-1").public.to_base64()
    later = rights.key_envelope(2, statement_key=same)
    keeping.site.keys = _answers(later)  # type: ignore[method-assign]
    ahead = keeping.site.gateway.beat(
        rights.NOW_MS + 1, version={"epoch": 2, "n": 1}, head="ab" * 32
    )
    keeping.custody.hear_heartbeat(
        HeartbeatHeard(ahead, keeping.clock.monotonic_ns(), answer=False)
    )
    async with asyncio.timeout(DEADLINE_S):
        await keeping.keys_taken.wait()
    assert (keeping.custody.kept.keys.epoch, keeping.alarms) == (2, [])


@pytest.mark.parametrize(("epoch", "alarms"), [(2, []), (1, [AlarmCode.RECEIPT_REFUSED])])
async def test_a_word_by_an_unknown_key_is_an_alarm_unless_the_site_has_new_keys(
    keeping: Keeping, epoch: int, alarms: list[AlarmCode]
) -> None:
    keeping.site.keys = _answers(KEYS_OF[epoch])  # type: ignore[method-assign]
    settled = asyncio.Event()
    settle = keeping.custody.settle_doubts

    def settling(*, renewed: bool) -> None:
        settle(renewed=renewed)
        settled.set()

    keeping.custody.settle_doubts = settling  # type: ignore[method-assign]
    keeping.custody.doubt(AlarmCode.RECEIPT_REFUSED, sha256(b"receipt"), "another key")
    async with asyncio.timeout(DEADLINE_S):
        await settled.wait()
    assert keeping.alarms == alarms


async def test_a_doubt_is_an_alarm_where_nobody_can_be_asked(keeping: Keeping) -> None:
    keeping.site.away = True
    sounded = asyncio.Event()
    keeping.custody.sound = lambda *_: sounded.set()
    keeping.custody.doubt(AlarmCode.RECEIPT_REFUSED, sha256(b"receipt"), "another key")
    async with asyncio.timeout(DEADLINE_S):
        await sounded.wait()


async def test_the_log_goes_on_under_a_new_key_and_a_rewritten_one_is_still_found_out(
    desk: Desk,
) -> None:
    desk.grow(6)
    desk.hear(0)
    held, old = desk.keeper.held, desk.site.trust
    desk.site.log = SoftwareSigner(ed25519.Ed25519PrivateKey.generate())
    desk.keeper.follow(replace(desk.site.trust, before=old.key))
    assert desk.keeper.held == held
    desk.grow(1)
    desk.hear(7)
    assert desk.size == 8
    desk.site.tree.leaves[2] = b"another past"
    desk.grow(1)
    desk.hear(8)
    assert desk.size == 8
    assert await alarm_codes(desk.journal) == [AlarmCode.CHECKPOINT_INCONSISTENT]


async def test_what_was_held_under_the_key_before_is_held_after_a_restart(desk: Desk) -> None:
    desk.grow(3)
    desk.hear(0)
    held = desk.keeper.held
    assert held is not None
    await desk.journal.run(held.save)
    old = desk.site.trust
    new = SoftwareSigner(ed25519.Ed25519PrivateKey.generate()).public
    trust = LogTrust(old.site, old.epoch, new, before=old.key)
    assert await checkpoints.load(desk.journal, trust) == held
    assert await checkpoints.load(desk.journal, replace(trust, before=None)) is None


@pytest.fixture
async def ship(tmp_path: Path) -> AsyncIterator[Ship]:
    ship = await Ship(tmp_path, FakeSite(), ManualClock()).start()
    yield ship
    await ship.stop()


async def test_what_was_on_its_way_is_receipted_by_the_new_log_key(ship: Ship) -> None:
    ship.connect()
    await ship.settle()
    (message,) = ship.take_wire()
    late = ship.site.take(message)
    old = ship.site.trust.key
    ship.site.log = SoftwareSigner(ed25519.Ed25519PrivateKey.generate())
    ship.shipper.follow(replace(ship.site.trust, before=old))
    ship.shipper.receive(late)  # signed by the key before: no alarm, and no receipt either
    await ship.settle()
    assert (ship.shipper.unshipped, ship.alarms.count) == (1, 0)
    ship.unanswered.clear()
    await ship.later(0.1)
    (again,) = ship.take_wire()
    assert again == message
    receipt = ship.site.take(again)
    Receipt.open(Envelope.from_bytes(receipt), ship.site.log.public)
    ship.shipper.receive(receipt)
    await ship.settle()
    assert (ship.shipper.unshipped, ship.alarms.count) == (0, 0)


async def test_a_gateway_of_a_new_operator_ca_is_asked_for_the_keys_and_for_nothing_else(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "before.pem").write_bytes(Authority("operators").certificate)
    keys = rights.key_envelope(2)
    site.answers["/v1/keys"] = 200, keys.to_bytes()
    distrusting = site.client(trusts="before")
    with pytest.raises(NotBelieved):
        await distrusting.keys()
    follows = site.client(trusts="before", anybody=True)
    assert await follows.keys() == keys
    with pytest.raises(FetchFailed):
        await follows.manifest()
    assert [path for path, _ in site.seen] == ["/v1/keys"]


def _answers(envelope: Envelope):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as Source has it
    async def keys() -> Envelope:
        return envelope

    return keys
