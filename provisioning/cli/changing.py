"""What the commands share that change the directory by a plan: sync, show, ask, send, follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from contract.directory import Entry
from contract.ids import OperatorId, Version
from provisioning.cli import console
from provisioning.cli.publisher import parse_address
from provisioning.directory import plan, sets
from provisioning.directory.administration import Administration, Gateway, Operator
from provisioning.directory.difference import SHOWN
from provisioning.directory.mirror import Mirror
from provisioning.errors import ProvisioningError
from provisioning.site.folder import SiteFolder, require_name
from runtime.clock import SystemClock

All = Annotated[bool, typer.Option("--all", help="Show every line of the difference.")]


@dataclass(frozen=True, slots=True)
class Desk:
    """An operator at work: the gateway's interface, and the copy of its directory, up to date."""

    folder: SiteFolder
    administration: Administration
    mirror: Mirror

    def change(
        self,
        name: str,
        entries: Callable[[], Iterable[Entry]],
        how: How,
        question: str = "Make this change?",
    ) -> dict[str, Any]:
        """Shows what would be different, asks, and makes it so; the answer's fields.

        `name` is what it is called while it is under way: given again, it goes on.
        """
        wish = sets.prepared(plan.set_folder(self.folder, name))
        if wish is not None and not how.dry_run:
            console.words("This was begun before and goes on.")
            return self._finish(wish)
        with plan.Plan(self.mirror, entries(), None if how.show_all else SHOWN) as planned:
            for line in planned.difference.to_words():
                console.words(line)
            answer: dict[str, Any] = {"difference": planned.difference.to_json()}
            if how.dry_run or not planned.difference.total:
                return {**answer, "changed": False}
            console.confirm(question, yes=how.yes)
            now_ms = SystemClock().wall_ms()
            prepared = sets.prepare(
                plan.set_folder(self.folder, name),
                self.administration,
                planned.base,
                planned.lines(),
                now_ms,
            )
        return {**answer, **(self._finish(prepared) if prepared else {"changed": False})}

    def _finish(self, wish: sets.Prepared) -> dict[str, Any]:
        with steps("Sending", 2 * wish.requests) as advance:
            sent = plan.finish(self.administration, self.folder, wish, advance)
        return {"changed": True, "version": as_json(sent.version)}


@dataclass(frozen=True, slots=True)
class How:
    """What the person said about asking and showing."""

    yes: bool
    dry_run: bool
    show_all: bool


@contextmanager
def desk(folder: SiteFolder, operator: str, address: str) -> Iterator[Desk]:
    """With the directory as it is now. Raises ProvisioningError."""
    name = OperatorId(require_name(operator, "operator"))
    host, port = parse_address(address)
    gateway = Gateway(folder.site, host, port)
    who = Operator(name, folder.operator(name), folder.gateway / "operator_ca.crt.pem")
    with Administration(gateway, who) as administration, Mirror.open(folder) as mirror:
        mirror.sync(administration)
        yield Desk(folder, administration, mirror)
        # What was just changed too: what a lost gateway had, a copy may have to give back.
        try:
            mirror.sync(administration)
        except ProvisioningError as error:
            console.words(f"What was just changed is not in the folder's copy yet: {error}")


@contextmanager
def steps(what: str, total: int) -> Iterator[sets.Advance]:
    """A bar that follows `sets.Advance`."""
    with console.progress(what, total) as one_more:
        shown = 0

        def advance(done: int, _total: int) -> None:
            nonlocal shown
            while shown < done:
                one_more()
                shown += 1

        yield advance


def as_json(version: Version) -> dict[str, int]:
    return {"epoch": version.epoch, "n": version.n}
