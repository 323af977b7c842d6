"""The benchmark as the harness sees it: its plan, its promises, its sentences and plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from benchmarks.harness.record import Budget, Cell
from benchmarks.harness.workload import Chart, Headline, Kind, Series, Step, Workload
from benchmarks.peers.held import HeldLeftIn, HeldTapped
from benchmarks.peers.pam_p11 import PamP11
from benchmarks.peers.pam_pkcs11 import PamPkcs11
from benchmarks.sign_on.specs import KEY_WORDS, P256, SLOWED, Spec, State
from benchmarks.sign_on.steps import full_plan, quick_plan

SOFTWARE_P95_MS: Final = 25.0
SOFTWARE_P99_MS: Final = 50.0
TIMES_THE_CARD: Final = 1.15
TIMES_QUICKER: Final = 10.0
NO_SLOWER_THAN_WARM: Final = 1.10
USABLE_P95_MS: Final = 1000.0

_ABOUT: Final = """\
A card is held to a reader and stays until the work of its holder is on the glass; then the next
person's, over it. Terminal daemon, pcscd, broker and gateway are the real ones; journal and
directory lie on this machine's disk with `synchronous=FULL`. Simulated are the card (a virtual PIV
card with the times of public measurements: typical contactless is 20 ms an exchange, 11.8 kB/s,
60 ms a P-256 signature, 185 ms an RSA-2048 one), its reader (vsmartcard's, which polls: a card is
noticed up to 0.4 s late, and *detection* is shown apart for that) and the network (loopback).

- **total** runs from the return of the terminal's status wait to the moment at which a client of
  the kiosk has received the holder's open session. It is *driver* + *card* + *flush* + *software*;
  *screen* (the outcome is durable → the client has it) is a part of software.
- **card** is the card's own record of itself, and counts the exchanges: the physical limit.
- **tap to usable** runs from the card in the field to the kiosk's acceptance of her first touch,
  which is sent when the open session has been received: detection and everything included. The
  kiosk's page is the workspace today; no browser draws it here.
- *First of shift* is two visits to one card in the contact slot with a pad between them; the PIN is
  posted when the pad is seen, and no person's typing is in any figure.
- Taps rotate over eight readers, at moments that are in step with nobody's polling. In the whole
  run two terminals are tapped at a time, each with a crew of its own (in the quick run one); the
  peers run alone.
- Flushes are slowed inside the daemon's process: each fsync and fdatasync is carried out in full
  and then waits.

**The peers** sign on with the same card in the same reader, warm (three runs before the first that
counts, files and certificates cached), the card already in the reader and in use, the readers that
it does not need unplugged, nothing else of ours running, each in the
quickest configuration that its manual has; total is from the fork of the program to its end. They
need the PIN at each sign-on; typing it is not counted. The *held PKCS#11 session* stands for the
best agent that could be written on OpenSC. Its session ends when its card leaves, so it is measured
twice: with the card tapped (process and module are kept, the session is new), which is what we do
and what the promise is about; and with the card left in, where one person's session signs again and
again. That is quicker than any tap can be, since a tap must ask whose card it is, and it is what
wards must stop doing.
"""


class SignOn(Workload):
    """See `_ABOUT`."""

    name: ClassVar = "sign_on"
    title: ClassVar = "Sign-on: a tap, beside what a hospital would use instead"
    about: ClassVar = _ABOUT

    def plan(self, *, quick: bool) -> list[Step]:
        return quick_plan() if quick else full_plan()

    def judge(self, cells: Sequence[Cell], *, quick: bool) -> list[Budget]:
        seen = _Cells(cells)
        warm = seen.ours(Spec())
        budgets = [
            *_of_software(warm, "warm tap"),
            Budget.at_most(
                "warm tap: total ÷ card's own time, p95",
                TIMES_THE_CARD,
                warm.figure("total ÷ card").p95 if warm else None,
                "×",
                f"issue 3; tap by tap, {Spec().name}",
            ),
            Budget.at_most(
                "warm tap to usable, p95",
                USABLE_P95_MS,
                warm.figure("tap to usable").p95 if warm else None,
                "ms",
                "design §10; detection by polling included",
            ),
        ]
        budgets += [
            _quicker(warm, seen.peer(kind.name), kind.name, TIMES_QUICKER)
            for kind in (PamP11, PamPkcs11)
        ]
        if quick:
            return budgets
        budgets.append(_quicker(warm, seen.peer(HeldTapped.name), HeldTapped.name, 1.0))
        for state in (State.OFFLINE, State.MILLION):
            cell = seen.ours(Spec(state))
            budgets += _of_software(cell, str(state))[:1]
            for cut in ("p50", "p95"):
                budgets.append(_as_warm(cell, warm, state, cut))
        return budgets

    def headlines(self, cells: Sequence[Cell]) -> list[Headline]:
        seen = _Cells(cells)
        if (warm := seen.ours(Spec())) is None:
            return []
        total, card = warm.figure("total"), warm.figure("card")
        found = [
            Headline(
                "total ÷ card",
                f"A warm tap takes {total.p50:.0f} ms (p95 {total.p95:.0f}), of which the card "
                f"itself takes {card.p50:.0f}: {total.p50 / card.p50:.2f} × the physical limit "
                f"(simulated typical contactless P-256 card, {len(total.samples)} taps).",
            ),
            Headline(
                "software",
                f"Software in it: {warm.figure('software').p50:.1f} ms, "
                f"p95 {warm.figure('software').p95:.1f} ms.",
            ),
        ]
        tapped = [one for one in seen.peers() if one.peer != HeldLeftIn.name]
        if tapped:
            best = min(tapped, key=lambda one: one.figure("total").p50)
            ratio = best.figure("total").p50 / total.p50
            found.append(
                Headline(
                    "the best of the others",
                    f"{ratio:.2f} × quicker than the quickest of {len(tapped)} peers "
                    f"({best.peer}, {best.figure('total').p50:.0f} ms and "
                    f"{best.counts['exchanges']:.0f} exchanges; a tap has "
                    f"{warm.counts['exchanges a tap']:.0f}).",
                )
            )
        for one in seen.peers():
            if one.peer in {PamP11.name, PamPkcs11.name, HeldTapped.name}:
                ratio = one.figure("total").p50 / total.p50
                found.append(
                    Headline(one.peer, f"{ratio:.1f} × quicker than {one.peer}, PIN typing apart.")
                )
        return found

    def charts(self, cells: Sequence[Cell]) -> list[Chart]:
        seen = _Cells(cells)
        warm = seen.ours(Spec())
        if warm is None:
            return []
        charts = [
            Chart(
                "sign-on-beside",
                "A warm tap and its peers: total, typical contactless, P-256",
                (
                    Series("tapover", warm.figure("total")),
                    *(Series(one.peer, one.figure("total"), peer=True) for one in seen.peers()),
                ),
                kind=Kind.STRIPS,
                logarithmic=True,
            ),
            Chart(
                "sign-on-parts",
                "Where a warm tap's time goes, typical contactless, P-256",
                tuple(
                    Series(part, warm.figure(part))
                    for part in ("detection", "card", "driver", "flush", "software", "screen")
                ),
                kind=Kind.STRIPS,
                logarithmic=True,
            ),
        ]
        states = [
            Series(str(state), cell.figure("software"))
            for state in State
            if (cell := seen.ours(Spec(state)))
        ]
        charts.append(
            Chart(
                "sign-on-software",
                "Software time of a tap: warm, offline, 1.1 million entitlements",
                tuple(states),
                marks={"p95 at most": SOFTWARE_P95_MS},
            )
        )
        slowed = [
            Series(f"{spec.slowed_ms} ms slower", cell.figure("total"))
            for spec in SLOWED
            if (cell := seen.ours(spec))
        ]
        if slowed:
            own = Series("this disk", warm.figure("total"))
            charts.append(
                Chart("sign-on-flushes", "A warm tap on slower disks: total", (own, *slowed))
            )
        return charts


class _Cells:
    """Those of this benchmark, found by what they are."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._named = {cell.name: cell for cell in cells}

    def ours(self, spec: Spec) -> Cell | None:
        return self._named.get(spec.name)

    def peers(self) -> list[Cell]:
        """With the headline's key."""
        key = KEY_WORDS[P256]
        return [one for one in self._named.values() if one.peer and one.parameters["key"] == key]

    def peer(self, name: str) -> Cell | None:
        return next((one for one in self.peers() if one.peer == name), None)


def _of_software(cell: Cell | None, what: str) -> list[Budget]:
    software = cell.figure("software") if cell else None
    p95, p99 = (software.p95, software.p99) if software else (None, None)
    why = "issue 3, design §10; total less PC/SC calls and the flush waited for"
    return [
        Budget.at_most(f"{what}: software p95", SOFTWARE_P95_MS, p95, "ms", why),
        Budget.at_most(f"{what}: software p99", SOFTWARE_P99_MS, p99, "ms", why),
    ]


def _quicker(warm: Cell | None, peer: Cell | None, name: str, limit: float) -> Budget:
    """How many times quicker, by the medians; and how many times a tap could be at most."""
    ratio, why = None, "issue 3; medians of total, typical contactless, P-256"
    if warm is not None and peer is not None:
        theirs = peer.figure("total").p50
        ratio = theirs / warm.figure("total").p50
        most = theirs / warm.figure("card").p50
        why += f"; software that took no time at all would come to {most:.1f}"
    return Budget.at_least(f"warm tap: quicker than {name}", limit, ratio, "×", why)


def _as_warm(cell: Cell | None, warm: Cell | None, state: State, cut: str) -> Budget:
    ratio = None
    if cell is not None and warm is not None:
        ratio = float(getattr(cell.figure("total"), cut) / getattr(warm.figure("total"), cut))
    return Budget.at_most(
        f"{state}: total {cut} ÷ warm's", NO_SLOWER_THAN_WARM, ratio, "×", "issue 3"
    )
