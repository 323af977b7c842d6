"""Any night whatever, with somebody at the page who posts whatever he likes whenever he likes.

Cards, disks, links, hours and gestures in any order: break-glass and downtime keep these promises.

* Nothing opens in the name of a card that is lost, revoked, or did not sign for it.
* Nothing opens for a reason, from a state, or in a position that is not the ward's.
* While the journal takes nothing, only an emergency is on the glass; it is journalled in the end.
* Downtime is never on within the limit, nor by one person's word.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any, Final

import pytest

from contract.directory import Slot, Status
from contract.emergency import BreakGlassOpened, DowntimeDeclared, Kept
from contract.events import CardOutcome, CardRecorded, Event, SessionChanged
from contract.ids import PositionId
from contract.policy import BreakGlass, BreakGlassState, Downtime
from contract.tap import verify_card
from contract.wire import decode_base64
from firmware_py.emergency import commands
from firmware_py.sessions.values import UNIDENTIFIED
from firmware_py.site.link import LinkChanged
from hardware.virtual.sample import personalised
from runtime.supervisor import State
from tests.firmware import rights
from tests.firmware.bench import Bench, staff
from tests.firmware.cards import PLATE, SLOT
from tests.firmware.test_terminal_walks import CARDS, KNOWN, POSITIVE, Walk, entitled

LEADS: Final = {"elena": personalised(), "ffion": personalised()}
EVERYBODY: Final = {**CARDS, **LEADS}
REASONS: Final = ("RESUS", "SYSTEM")
GLASS: Final = BreakGlass(
    allowed=True,
    position=PositionId("emergency"),
    reasons=REASONS,
    limit_s=600,
    states=tuple(BreakGlassState),
    without_card=(rights.TERMINAL,),
)
LIMIT_S: Final = 600
BARRED: Final = (Status.LOST, Status.REVOKED)


class Night(Walk):
    """A shift with emergencies in it."""

    def __init__(self, bench: Bench, chance: random.Random) -> None:
        super().__init__(bench, chance)
        self.known = 0
        self.moves += (
            [self.glass] * 12
            + [self.alone, self.colleague, self.downtime, self.downtime_over] * 2
            + [self.silence] * 3
            + [self.reserve, self.link, self.gateway, self.lead] * 2
        )

    async def step(self) -> None:
        await super().step()
        for _ in range(4):  # what a thread of the terminal's has to do comes back by the queue
            await asyncio.to_thread(lambda: None)
            await self.bench.rest()

    async def glass(self) -> None:
        self.bench.do(commands.BreakGlass(self.chance.choice((*REASONS, "CURIOUS"))))

    async def alone(self) -> None:
        self.bench.do(commands.BreakGlassAlone())

    async def colleague(self) -> None:
        self.bench.do(commands.BreakGlassColleague())

    async def downtime(self) -> None:
        self.bench.do(commands.DowntimeWanted())

    async def downtime_over(self) -> None:
        self.bench.do(commands.DowntimeOver())

    async def silence(self) -> None:
        """Hours in which nothing is heard of the site."""
        self.bench.clock.advance(self.chance.choice((30, LIMIT_S + 30, 3 * LIMIT_S)))

    async def reserve(self) -> None:
        (self.bench.journal_path.parent / "journal.reserve").unlink(missing_ok=True)

    async def link(self) -> None:
        state = self.chance.choice((State.UP, State.WAITING))
        self.bench.post(LinkChanged(state, ""))

    async def gateway(self) -> None:
        self.bench.told = None if self.bench.told is not None else []

    async def lead(self) -> None:
        """Somebody in charge puts her card into the slot, with its PIN."""
        if SLOT in self.in_reader:
            self.bench.readers.take(SLOT)
        name = self.chance.choice(sorted(LEADS))
        self.in_reader[SLOT] = name
        self.bench.readers.put(SLOT, LEADS[name])
        await self.bench.rest()
        await self.type_pin()
        await self.bench.rest()

    async def status(self) -> None:
        """Nobody's status changes unheard of: what was opened is judged by what was known."""
        await self.bench.rest()
        await super().status()

    def check(self) -> None:
        view = self.bench.board.view
        active = bool(view.panels.get("breakglass", {}).get("active"))
        if not view.covered and view.person is not None:
            assert self.bench.workspace.shown is not None, self.steps
            assert active or not self.down, self.steps
        if self.bench.terminal.signon.downtime is not None:
            assert view.panels["downtime"]["state"] in ("on", "declaring"), self.steps

    async def judge_new(self) -> None:
        """What has been opened since the last step, by what is known of its card now."""
        if self.down:
            return
        opened = [e.detail for e in await self.bench.events() if is_opened(e)]
        fresh, self.known = opened[self.known :], len(opened)
        for one in fresh:
            assert isinstance(one, BreakGlassOpened)
            assert one.reason in REASONS, self.steps
            assert one.position == GLASS.position, self.steps
            if one.holder is not None and one.guid is not None and one.kept is Kept.JOURNAL:
                card = self.bench.custody.entitlement(one.guid)
                assert card is not None, self.steps
                assert card.status not in BARRED, self.steps


def is_opened(event: Event) -> bool:
    return isinstance(event.detail, BreakGlassOpened)


@pytest.mark.parametrize("seed", range(6))
async def test_no_order_of_things_breaks_a_promise(tmp_path: Path, seed: int) -> None:
    await walk(tmp_path, seed, steps=50)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(200, 240))
async def test_no_longer_order_of_things_does(tmp_path: Path, seed: int) -> None:
    await walk(tmp_path, seed, steps=200)


async def walk(folder: Path, seed: int, steps: int) -> None:
    for card in EVERYBODY.values():
        card.pin.left = card.pin.allowed
    async with Bench(folder / "state", card_deadline_s=2.0) as bench:
        lead = (rights.position("resus-lead", "R8001L"),)
        await bench.open_day(
            *(entitled(name) for name in KNOWN),
            *(staff(name, name[:2].upper(), LEADS[name], positions=lead) for name in LEADS),
            break_glass=GLASS,
            downtime=Downtime(roles=("R8001L",), renew_s=1800),
            offline_limit_s=LIMIT_S,
        )
        night = Night(bench, random.Random(seed))
        for _ in range(steps):
            await night.step()
            night.check()
            await night.judge_new()
        if night.down:
            await bench.mend_disk()
            await bench.rest()
        bench.readers.take(PLATE)
        await bench.rest()
        judge(await bench.events())


def judge(events: list[Event]) -> None:
    """What the journal says, by the cards' own keys."""
    by_sequence = {event.sequence: event.detail for event in events}
    allowed: set[tuple[str, str, str]] = set()
    for event in events:
        detail = event.detail
        if isinstance(detail, BreakGlassOpened):
            allowed.add((detail.session, detail.holder or UNIDENTIFIED, detail.position))
            if detail.holder is not None:
                proven(detail, by_sequence)
        elif isinstance(detail, CardOutcome) and detail.result in POSITIVE:
            allowed.add((str(detail.session), str(detail.holder), str(detail.position)))
        elif isinstance(detail, SessionChanged) and detail.change in ("opened", "resumed"):
            assert (detail.session, detail.holder, detail.position) in allowed
        elif isinstance(detail, DowntimeDeclared):
            assert len({one.holder for one in detail.by}) == 2
            for one in detail.by:
                assert isinstance(by_sequence[one.record], CardRecorded)


def proven(opened: BreakGlassOpened, by_sequence: dict[int, Any]) -> None:
    """The very card of this holder signed: a record of the journal, or one in the event itself."""
    card = next(card for name, card in EVERYBODY.items() if name == opened.holder)
    assert card.guid is not None
    assert opened.guid == card.guid.hex()
    if opened.proof is None:
        assert opened.record is not None
        outcomes = [
            one
            for one in by_sequence.values()
            if isinstance(one, CardOutcome) and one.record == opened.record and one.signature
        ]
        assert any(one.result in POSITIVE for one in outcomes)
        return
    key = next(
        one.verify_key()
        for one in staff(str(opened.holder), "XX", card).credentials
        if one.slot is Slot.CARD_AUTHENTICATION
    )
    verify_card(key, decode_base64(opened.proof.event), decode_base64(opened.proof.signature))
