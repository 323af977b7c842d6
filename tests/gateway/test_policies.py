"""Policies at the gateway: refused whole where no ward can serve them, counted where they take."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import pytest

from contract.administration import Stop
from contract.directory import (
    Entitlement,
    EntryKind,
    Position,
    Removed,
    Spare,
    Status,
    Terminal,
    TerminalState,
)
from contract.ids import PositionId, TerminalId, WardId
from contract.policy import BreakGlass, Downtime, Policy
from contract.serving import Interface
from contract.signing import SoftwareSigner
from gateway.directory.requests import RequestRefused
from gateway.directory.serving import PolicyRefused
from gateway.directory.source import Applied, Held
from gateway.store import HeldState
from tests.gateway.conftest import World
from tests.gateway.identities import Scribe
from tests.gateway.staff import Hospital, member, staff
from tests.gateway.test_sets import Wish

ED = WardId("ed")
_KEY: SoftwareSigner = Scribe("nobody").signer


@pytest.fixture
def hospital(world: World) -> Hospital:
    return Hospital(world)


def salt() -> str:
    return secrets.token_hex(16)


def policy(ward: str = "ed", **changes: object) -> Policy:
    return Policy.model_validate({"ward": WardId(ward), "salt": salt(), **changes})


def terminal(name: str, ward: str = "ed", state: TerminalState = TerminalState.ACTIVE) -> Terminal:
    return Terminal(
        terminal=TerminalId(name),
        ward=WardId(ward),
        batch_key=_KEY.public.to_base64(),
        state=state,
        salt=salt(),
    )


def with_role(number: int, role: str, *areas: str) -> Entitlement:
    held = Position(
        id=PositionId(f"p-{role.lower()}"),
        role=role,
        name=role,
        areas=tuple(WardId(area) for area in areas),
    )
    return member(number).model_copy(update={"positions": (held,)})


def spare(number: int, status: Status = Status.ACTIVE) -> Spare:
    card = member(number)
    return Spare(
        guid=card.guid,
        credentials=card.credentials,
        status=status,
        not_after_ms=2**49,
        salt=salt(),
    )


def hear(hospital: Hospital, **readers: set[Interface]) -> None:
    """What terminals say of their readers."""
    hospital.directory.serving.heard = lambda: {
        TerminalId(name.replace("_", "-")): frozenset(kinds) for name, kinds in readers.items()
    }


def test_a_policy_that_its_readers_cannot_serve_is_refused_whole(hospital: Hospital) -> None:
    hospital.ask(terminal("bay-1"), *staff(5))
    hear(hospital, bay_1={"contactless"})
    before = hospital.version
    with pytest.raises(PolicyRefused, match=r"pin_contactless.*bay-1"):
        hospital.ask(member(7), policy(idle_lock_s=60))
    assert hospital.version == before
    assert b'"kind":"change.denied"' in hospital.events()[-1]
    hear(hospital, bay_1={"contact", "contactless"})
    assert isinstance(hospital.ask(policy(idle_lock_s=60)), Applied)


def test_what_the_request_itself_brings_counts(hospital: Hospital) -> None:
    glass = BreakGlass(
        allowed=True,
        position=PositionId("p-r8099"),
        reasons=("E1",),
        limit_s=600,
        without_card=(TerminalId("bay-1"),),
    )
    asked = policy(break_glass=glass, downtime=Downtime(roles=("R8099",)), roles=("R8099",))
    hospital.ask(*staff(5))
    with pytest.raises(PolicyRefused) as refused:
        hospital.ask(asked)
    for field in ("break_glass.position", "break_glass.without_card", "downtime.roles", "roles"):
        assert field in str(refused.value)
    pair = (with_role(901, "R8099"), with_role(902, "R8099"))
    assert isinstance(hospital.ask(asked, terminal("bay-1"), *pair), Applied)
    assert isinstance(hospital.ask(policy(downtime=Downtime(roles=("R8099",)))), Applied)


def test_a_site_begins_with_policies_and_nobody(hospital: Hospital) -> None:
    assert isinstance(hospital.ask(policy(roles=("R8001",))), Applied)


def test_in_a_set_it_takes_the_whole_set_with_it(hospital: Hospital) -> None:
    hospital.ask(terminal("bay-1"), *staff(5))
    hear(hospital, bay_1={"contactless"})
    wish = Wish(hospital, [*(member(n) for n in range(20, 40)), policy()])
    wish.bring()
    with pytest.raises(RequestRefused, match="pin_contactless"):
        wish.step()
    assert hospital.desk.find(wish.subject).row.state is HeldState.REFUSED
    assert hospital.desk.waiting(hospital.world.now) == []


def test_a_policy_that_shuts_people_out_waits_for_a_second_operator(hospital: Hospital) -> None:
    doctors = [with_role(n, "R8000") for n in range(300, 330)]
    hospital.ask(terminal("bay-1"), policy())
    hospital.employ([*staff(100), *doctors])
    held = hospital.ask(policy(roles=("R8001",)))
    assert isinstance(held, Held)
    assert (held.findings.stops, held.findings.shut_out) == ((Stop.ROLES,), 30)
    assert hospital.approve(held.subject, hospital.otto) is HeldState.DONE
    assert isinstance(hospital.ask(policy(roles=("R8000", "R8001"))), Applied), "wider is no taking"


def test_only_who_could_sign_on_there_is_shut_out(hospital: Hospital) -> None:
    elsewhere = [with_role(n, "R8000", "theatre") for n in range(300, 330)]
    both = [
        one.model_copy(update={"positions": (*one.positions, *member(0).positions)})
        for one in (with_role(n, "R8000") for n in range(400, 430))
    ]
    hospital.ask(terminal("bay-1"), policy())
    hospital.employ([*staff(100), *elsewhere, *both])
    assert isinstance(hospital.ask(policy(roles=("R8001",))), Applied)


def test_in_a_ward_without_terminals_nobody_is_shut_out(hospital: Hospital) -> None:
    hospital.employ([*staff(100), *(with_role(n, "R8000") for n in range(300, 330))])
    assert isinstance(hospital.ask(policy("new", roles=("R8001",))), Applied)


def retired(names: Iterable[str], ward: str = "ed") -> list[Terminal]:
    return [terminal(name, ward, TerminalState.RETIRED) for name in names]


def test_many_retired_terminals_stop_also_one_by_one(hospital: Hospital) -> None:
    names = [f"bay-{n}" for n in range(40)]
    hospital.ask(*(terminal(name) for name in names))
    held = hospital.ask(*retired(names[:21]))
    assert isinstance(held, Held)
    assert (held.findings.stops, held.findings.terminals) == ((Stop.TERMINALS,), 21)
    answers = [hospital.ask(*retired([name])) for name in names[:21]]
    assert [isinstance(one, Applied) for one in answers] == [True] * 20 + [False]


def test_a_wards_last_terminals_stop_unless_it_is_one_alone(hospital: Hospital) -> None:
    hospital.ask(terminal("bay-1"), terminal("bay-2"), terminal("theatre-1", "theatre"))
    held = hospital.ask(*retired(["bay-1", "bay-2"]))
    assert isinstance(held, Held)
    assert held.findings.stops == (Stop.TERMINALS,)
    gone = Removed(kind=EntryKind.TERMINAL, id="theatre-1", salt=salt())
    assert isinstance(hospital.ask(gone), Applied), "it may have been stolen"
    assert isinstance(hospital.ask(*retired(["bay-1"])), Applied)


def test_many_spares_stop_and_so_do_the_last_ones(hospital: Hospital) -> None:
    ready = [spare(n) for n in range(700, 730)]
    hospital.ask(*staff(5), *ready)
    gone = [Removed(kind=EntryKind.SPARE, id=one.guid, salt=salt()) for one in ready]
    held = hospital.ask(*gone[:21])
    assert isinstance(held, Held)
    assert (held.findings.stops, held.findings.spares) == ((Stop.SPARES,), 21)
    assert isinstance(hospital.ask(*gone[:20]), Applied)
    assert isinstance(hospital.ask(*gone[20:]), Held), "nobody would be helped at night"
    assert isinstance(hospital.ask(*gone[21:]), Applied)
    assert isinstance(hospital.ask(gone[20]), Applied), "one alone is an everyday change"


def test_a_set_is_counted_as_one_change_whatever_it_takes(hospital: Hospital) -> None:
    names = [f"bay-{n}" for n in range(40)]
    hospital.ask(*(terminal(name) for name in names))
    wish = Wish(hospital, retired(names[:21]), size=2)
    wish.bring()
    standing = wish.step()
    assert standing.row.state is HeldState.WAITING
    assert standing.findings.stops == (Stop.TERMINALS,)
