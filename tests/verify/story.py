"""A small honest site, told once; tests take it and lie about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tapover_verify
from tests.verify.maker import Card, Journal, Site
from tests.verify.signers import P256, one_rsa_key

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@dataclass
class Ward:
    """A site with a directory of three cards and a terminal, whose journal is open."""

    site: Site
    terminal: Journal
    gateway: Journal
    vogel: Card
    ngata: Card
    foreign: Card  # RSA-2048 in the slot 9A, and not seen to need its PIN

    def entries(self) -> list[dict[str, object]]:
        cards = [card.entitlement() for card in (self.vogel, self.ngata, self.foreign)]
        policy = {"type": "tapover/policy/v1", "ward": "ae", "salt": "00" * 16}
        return [*cards, self.terminal.entry(), policy]


def open_ward() -> Ward:
    site = Site()
    ward = Ward(
        site,
        Journal(site, "bay-1", P256()),
        Journal(site, "gateway", site.statement),
        Card("h-vogel", P256(), P256()),
        Card("h-ngata", P256(), P256(), position="p-2"),
        Card("h-foreign", P256(), one_rsa_key(), position="p-3", pin_gated=False),
    )
    site.change(*ward.entries())
    return ward


def honest_ward() -> Ward:
    """A morning: a PIN, taps over and back, a revocation, a gap in nothing, a deletion."""
    ward = open_ward()
    site, terminal = ward.site, ward.terminal
    site.manifest()
    site.add("enrolment", {"type": "tapover/enrolment/v1", "terminal": "bay-1"}, P256())
    terminal.hold()
    asked = terminal.record(ward.vogel)
    terminal.outcome(ward.vogel, asked, "asked", session=None)
    pin = terminal.record(ward.vogel, "pin")
    terminal.outcome(ward.vogel, pin, "opened", pin=True)
    terminal.session(ward.vogel)
    first = terminal.batch()
    terminal.event("session.idle", words="a kind from the future, which no verifier knows")
    terminal.hold()
    terminal.sessions += 1
    terminal.tap(ward.ngata)
    refused = terminal.record(ward.foreign)
    terminal.outcome(ward.foreign, refused, "refused", reason="position-none", session=None)
    foreign_pin = terminal.record(ward.foreign, "pin")
    terminal.outcome(ward.foreign, foreign_pin, "proved", pin=True, session=None)
    terminal.batch()
    lost = ward.ngata.entitlement() | {"status": "lost"}
    site.change(
        lost, {"type": "tapover/removed/v1", "kind": "policy", "id": "ae", "salt": "11" * 16}
    )
    cloned = terminal.record(ward.ngata)
    terminal.outcome(
        ward.ngata, cloned, "refused", signer=P256(), reason="card-key-wrong", session=None
    )
    unreadable = dict.fromkeys(("key", "algorithm", "signature", "holder", "record", "guid"))
    unreadable |= dict.fromkeys(("position", "session", "pin_record", "attempts"))
    terminal.event("card.outcome", result="refused", reason="card-torn", clock="site", **unreadable)
    terminal.batch(holds=site.holds(first))
    ward.gateway.delete(terminal, 2, 2)
    ward.gateway.batch()
    return ward


@dataclass(frozen=True)
class Verdict:
    exit: int
    said: str


class Auditor:
    """Somebody with an export, a root fingerprint and the program; nothing else of ours."""

    def __init__(self, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self._capsys, self.folder = capsys, folder

    def run(self, *argv: str) -> Verdict:
        status = tapover_verify.main(list(argv))
        return Verdict(status, self._capsys.readouterr().out)

    def judge(self, site: Site, *options: str) -> Verdict:
        """Export the site's log and verify it."""
        export = site.write(self.folder / f"export-{len(list(self.folder.iterdir()))}")
        return self.run(str(export), "--root", site.fingerprint, *options)

    def accepts(self, site: Site, *options: str) -> str:
        verdict = self.judge(site, *options)
        assert verdict.exit == 0, verdict.said
        return verdict.said

    def refuses(self, site: Site, words: str, *options: str) -> None:
        """Refuse for this reason, not for some other slip of the maker's."""
        verdict = self.judge(site, *options)
        assert verdict.exit == 1, verdict.said
        assert verdict.said.startswith("REFUSED: ")
        assert words in verdict.said
        assert verdict.said.count("\n") == 1

    def note(self, note: bytes) -> tuple[str, str]:
        """A checkpoint that the auditor has obtained, as options."""
        path = self.folder / "own.note"
        path.write_bytes(note)
        return "--checkpoint", str(path)
