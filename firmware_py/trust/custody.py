"""What this terminal believes at this moment: keys, directory, heartbeat, time (DESIGN §6).

`trust` and `sitetime` judge; this holds what they found, and answers the consumer's questions.
Whatever is to be written or fetched is left to `upkeep`, which is told. A directory that turns out
damaged, or older than the highest version ever held here, is no directory.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from contract.directory import Entitlement, Spare, Terminal, TerminalState
from contract.events import AlarmCode
from contract.ids import BootId, Digest, Guid, KeyId, TerminalId, Version
from contract.policy import Policy
from contract.signing import Envelope, sha256
from firmware_py.evidence.journal import Stamp
from firmware_py.trust import statements as trust
from firmware_py.trust.heard import Asked, DirectoryHeard, HeartbeatHeard
from firmware_py.trust.here import Place, default_policy
from firmware_py.trust.serving import Served
from firmware_py.trust.sitetime import Freshness, Moment, Question, SiteTime, TimeFault
from firmware_py.trust.store import Directory, DirectoryDamaged, DirectoryFailed
from firmware_py.trust.trust_store import TrustStore
from runtime.clock import Clock

LOG: Final = logging.getLogger("tapover.custody")

_MS: Final = 1_000_000
# Changes are a few a day; a burst beyond this is caught up with by asking.
MAX_WAITING: Final = 64
# One of each kind would do: alarms of a kind come once a minute.
MAX_DOUBTS: Final = 16
# Of a terminal's 64 MiB; the largest change is just below one.
MAX_WAITING_BYTES: Final = 4 * 1024 * 1024


class Sound(Protocol):
    """Raises an alarm (``alarms.Alarms.sound``)."""

    def __call__(self, code: AlarmCode, subject: Digest | None = None, why: str = "") -> None:
        """Journal it, at a bounded rate."""
        ...


@dataclass(slots=True)
class Kept:
    """The open stores, and who this terminal is."""

    terminal: TerminalId
    fingerprint: KeyId
    """Of the root's key, from provisioning."""
    directory: Directory
    store: TrustStore
    keys: trust.Keys
    before: trust.Keys | None = None
    """What `keys` replaced."""


class Custody:
    """Implements ``evidence.Rights``. Belongs to the loop's thread."""

    def __init__(
        self,
        kept: Kept,
        time: SiteTime,
        clock: Clock,
        rtc_ms: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`rtc_ms` reads the machine's clock chip, where there is one."""
        self.sound: Sound = _log_alarm
        """Set once there is a journal to take alarms."""
        self.kept = kept
        self.time = time
        self.wanted: Version | None = None
        """A version that is known to exist and not held."""
        self.keys_wanted = False
        self.keys_heard: bytes | None = None
        """A key statement that was said, to be judged in its turn."""
        self.damaged = False
        self.fallback = default_policy()
        """A ward's policy while no directory is whole: what outlives it (`emergency.wards_own`)."""
        self.time_to_keep = True
        self.provisional: Callable[[Guid, Entitlement | None], Entitlement | None] = _as_held
        """What was given here offline stands beside the directory until the gateway has judged."""
        self.waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self.on_work: Callable[[], None] = lambda: None
        """Called when there is something to write or fetch."""
        self.on_question: Callable[[], None] = lambda: None
        """Called when site time should be asked for soon."""
        self.served = Served(self._terminal, self._tell_unserved)
        """What of the ward's policy can be served here."""
        self._clock = clock
        self._rtc_ms = rtc_ms
        self._beat: Envelope | None = None
        self._question: Question | None = None
        self._doubts: list[tuple[AlarmCode, Digest, str]] = []

    # --- what is believed now ---------------------------------------------------------------

    @property
    def version(self) -> Version:
        """Of the directory held."""
        return self.kept.directory.held.version

    @property
    def heartbeat(self) -> Envelope | None:
        """The newest verified one of this run."""
        return self._beat

    @property
    def whole(self) -> bool:
        """Whether the directory is sound, and no older than was ever held here."""
        return not self.damaged and self.version >= self.kept.store.remembered.highest.version

    @property
    def has_directory(self) -> bool:
        """Whether somebody could sign on by what is held."""
        return self.whole and self.version != trust.NOTHING

    def entitlement(self, guid: Guid) -> Entitlement | None:
        """Of a card, as the directory held has it."""
        if not self.whole:
            return None
        try:
            return self.provisional(guid, self.kept.directory.entitlement(guid))
        except (DirectoryDamaged, DirectoryFailed) as error:
            self._note_damage(error)
            return None

    def spare(self, guid: Guid) -> Spare | None:
        """A card that is nobody's, as the directory held has it."""
        if not self.whole:
            return None
        try:
            return self.kept.directory.spare(guid)
        except (DirectoryDamaged, DirectoryFailed) as error:
            self._note_damage(error)
            return None

    def peer(self, terminal: TerminalId) -> Terminal | None:
        """Another terminal of the register; null where its word does not count."""
        if not self.whole:
            return None
        try:
            found = self.kept.directory.terminal(terminal)
        except (DirectoryDamaged, DirectoryFailed) as error:
            self._note_damage(error)
            return None
        return found if found is not None and found.state is TerminalState.ACTIVE else None

    def place(self) -> Place:
        """This terminal in the register, and its ward's policy, as far as it can be served."""
        if self.has_directory:
            try:
                return self.served.place(self.kept.directory.place(self.kept.terminal))
            except (DirectoryDamaged, DirectoryFailed) as error:
                self._note_damage(error)
        return Place(None, None, self.fallback)

    def _terminal(self, terminal: TerminalId) -> Terminal | None:
        return self.kept.directory.terminal(terminal)

    def _tell_unserved(self, policy: Policy, why: str) -> None:
        LOG.error("the ward's policy cannot be served here", extra={"why": why})
        self.sound(AlarmCode.POLICY_UNSERVABLE, sha256(policy.to_bytes()), why)

    def freshness(self) -> Freshness:
        """How much is known of the present."""
        return self.time.freshness(self.monotonic_ms())

    def moment(self) -> Moment:
        """Now, in this boot's own time."""
        return Moment(self.time.boot, self.monotonic_ms())

    def stamp(self) -> Stamp:
        """When an event is made."""
        monotonic_ms = self.monotonic_ms()
        wall_ms, clock = self.time.wall(monotonic_ms, self._clock.wall_ms())
        return Stamp(self.time.boot, monotonic_ms, wall_ms, clock)

    def monotonic_ms(self) -> int:
        """Of this boot."""
        return self._clock.monotonic_ns() // _MS

    # --- what arrives -----------------------------------------------------------------------

    def asked(self, item: Asked) -> None:
        """A question was published."""
        self._question = Question(item.nonce, item.asked_ns // _MS)

    def hear_change(self, item: DirectoryHeard) -> None:
        """Leave a change to be judged and applied in its turn."""
        full = sum(map(len, self.waiting)) + len(item.data) > MAX_WAITING_BYTES
        if full or len(self.waiting) == MAX_WAITING:
            self.want(Version(self.kept.keys.epoch, self.version.n + 1))
        if not full:
            self.waiting.append(item.data)
            self.on_work()

    def hear_heartbeat(self, item: HeartbeatHeard) -> None:
        """Judge a heartbeat, and what it says of the time."""
        match trust.judge_heartbeat(item.data, self.kept.keys, self.kept.directory.held):
            case trust.Refused() as refused:
                self.refused(refused)
            case trust.Beat() as beat:
                self._take_beat(beat, item)

    def hear_keys(self, data: bytes) -> None:
        """A key statement was said; mostly it is the one held."""
        if data != self.kept.keys.envelope.to_bytes() and len(data) <= Envelope.CAP:
            self.keys_heard = data
            self.on_work()

    def doubt(self, code: AlarmCode, subject: Digest, why: str) -> None:
        """Something is signed by a key that is not held: an alarm, unless the site has new keys."""
        if len(self._doubts) < MAX_DOUBTS:
            self._doubts.append((code, subject, why))
        self.want_keys()

    def settle_doubts(self, *, renewed: bool) -> None:
        """The keys were looked for; `renewed`: there were new ones."""
        doubts, self._doubts = self._doubts, []
        if not renewed:
            for code, subject, why in doubts:
                self.sound(code, subject, why)

    def _take_beat(self, beat: trust.Beat, item: HeartbeatHeard) -> None:
        confirms = beat.standing is trust.Standing.CONFIRMS and self.whole
        heard_ms = item.heard_ns // _MS
        after: SiteTime | TimeFault
        if item.answer:
            after = self._time_of_keys(heard_ms).answered(
                beat.heartbeat,
                self._question,
                heard_ms,
                confirms=confirms,
                rtc_ms=self._rtc_ms(),
            )
        else:
            after = self.time.broadcast(beat.heartbeat, heard_ms, confirms=confirms)
        if isinstance(after, TimeFault):
            if after is not TimeFault.NOT_ASKED:
                self.sound(AlarmCode.STATEMENT_REFUSED, beat.envelope.digest, f"heartbeat {after}")
        else:
            # Its first confirmation is kept at once: a daemon killed within the minute would know
            # the time again, but no age of its directory, and sign nobody on.
            first = self.time.confirmed_ms is None and after.confirmed_ms is not None
            self.time, self._beat = after, beat.envelope
            if item.answer:
                self._question = None
            if item.answer or first:
                self.time_to_keep = True
                self.on_work()
        if not confirms:
            self.want(beat.heartbeat.version.value)

    # --- for upkeep -------------------------------------------------------------------------

    def want_keys(self) -> None:
        """There may be a newer key statement."""
        self.keys_wanted = True
        self.on_work()

    def want(self, version: Version) -> None:
        """A later version exists (or any will do, where none is whole)."""
        if version > self.version or not self.whole:
            self.wanted = max(version, self.wanted or version)
            self.on_work()

    def refused(self, refused: trust.Refused) -> None:
        """A statement was not believed."""
        if refused.of_other_keys:
            self.want_keys()
        if refused.alarming:
            self.sound(AlarmCode.STATEMENT_REFUSED, refused.subject, refused.fault)

    def take_keys(self, keys: trust.Keys) -> None:
        """Another key statement is believed from now on."""
        self.kept.before, self.kept.keys = self.kept.keys, keys
        if self.time.anchor is None:
            self.time = self._time_of_keys(self.monotonic_ms())
            self.time_to_keep = True
        self.settle_doubts(renewed=True)
        self.on_question()

    def _time_of_keys(self, monotonic_ms: int) -> SiteTime:
        keys = self.kept.keys
        return self.time.new_epoch(keys.epoch, keys.statement.issued_ms, monotonic_ms)

    def take_directory(self, directory: Directory) -> None:
        """A damaged directory was replaced."""
        self.kept.directory = directory
        self.damaged = False

    def _note_damage(self, error: Exception) -> None:
        if not self.damaged:
            LOG.error("the directory is damaged", extra={"why": str(error)})
        self.damaged = True
        self.want(self.kept.store.remembered.highest.version)


def _as_held(_: Guid, held: Entitlement | None) -> Entitlement | None:
    return held


def _log_alarm(code: AlarmCode, subject: Digest | None = None, why: str = "") -> None:
    LOG.warning("alarm", extra={"code": code, "subject": subject, "why": why})


def boot_of(clock: Clock) -> BootId:
    """The boot id in the contract's spelling."""
    return BootId(clock.boot_id.replace("-", ""))
