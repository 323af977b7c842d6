"""What applications on a terminal may ask, over both doors, and what they are never told."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from contract.countersigning import text_digest
from contract.tap import DOMAIN
from firmware_py.countersign.errand import READ_S
from firmware_py.glass.commands import LockPressed
from firmware_py.glass.view import Screen
from firmware_py.local_api.apps import MAX_WATCHERS
from firmware_py.local_api.door import Doors
from firmware_py.local_api.openapi import describe
from firmware_py.local_api.routes import ROUTES
from firmware_py.sessions.machine import Mode
from firmware_py.settings import LocalApiSettings
from hardware.virtual.sample import personalised
from tests.firmware import rights
from tests.firmware.applications import Application, OpenDoors, following
from tests.firmware.bench import DEADLINE_S, Bench, staff
from tests.firmware.cards import PLATE
from tests.test_house.tree import ROOT

FILE = ROOT / "docs" / "api" / "terminal.json"
DESCRIBED: dict[str, Any] = json.loads(FILE.read_text())
AMAL, BEA, CY = personalised(), personalised(), personalised()
NOBODY = "0" * 32


@pytest_asyncio.fixture
async def ward(short_tmp: Path) -> AsyncIterator[Bench]:
    """Amal's work is on the glass."""
    async with Bench(short_tmp / "state") as bench:
        await bench.open_day(staff("amal", "AM", AMAL), staff("bea", "BE", BEA))
        await bench.sign_on(BEA)
        await bench.sign_on(AMAL)
        bench.clock.advance(10)
        yield bench


@pytest_asyncio.fixture
async def doors(ward: Bench, short_tmp: Path) -> AsyncIterator[OpenDoors]:
    async with OpenDoors(ward, short_tmp / "state") as doors:
        yield doors


@pytest.fixture(params=["socket", "loopback"])
def app(request: pytest.FixtureRequest, doors: OpenDoors) -> Application:
    return doors.application() if request.param == "socket" else doors.over_loopback()


# --- who is signed on --------------------------------------------------------------------------


async def test_who_is_signed_on_as_the_glass_tells_it(app: Application, ward: Bench) -> None:
    assert await app.who() == {
        "session": ward.workspace.shown,
        "holder": "amal",
        "name": "Amal",
        "initials": "AM",
        "position": "nurse",
        "position_name": "Nurse",
        "role": "R8001",
        "kind": "ordinary",
        "state": "open",
        "shared": False,
    }


async def test_nobody_is_once_the_screen_is_locked(app: Application, ward: Bench) -> None:
    mark = len(ward.board.views)
    ward.do(LockPressed())
    await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    assert await app.who() is None


async def test_the_stream_tells_every_change_and_nothing_else(
    app: Application, ward: Bench
) -> None:
    async with app.events() as stream:
        first = await following(stream)
        assert first is not None
        assert first["initials"] == "AM"
        await ward.tap(BEA)
        told = [await following(stream)]
        while told[-1] is None or told[-1]["initials"] != "BE":
            told.append(await following(stream))
        assert all(one is None or one["initials"] == "BE" for one in told)
        ward.do(LockPressed())
        assert await following(stream) is None


async def test_dimmed_and_about_to_lock_are_told(app: Application, ward: Bench) -> None:
    async with app.events() as stream:
        await following(stream)
        for seconds, state in ((120, Mode.DIMMED), (165, Mode.WARNING)):
            ward.clock.advance(seconds)
            told = await following(stream)
            assert told is not None
            assert told["state"] == state


async def test_streams_are_few_and_end_with_the_daemon(doors: OpenDoors, ward: Bench) -> None:
    apps = [doors.application() for _ in range(MAX_WATCHERS + 1)]
    streams = [app.client.stream("GET", "/v1/events") for app in apps]
    for stream in streams[:-1]:
        assert (await stream.__aenter__()).status_code == 200
    assert (await streams[-1].__aenter__()).status_code == 503
    ward.apps.close()
    async with asyncio.timeout(DEADLINE_S):
        for stream in streams:
            await stream.__aexit__(None, None, None)


# --- what an application may do --------------------------------------------------------------


async def test_lock(app: Application, ward: Bench) -> None:
    mark = len(ward.board.views)
    assert (await app.ask("lock", session=await app.session())).status_code == 204
    await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    assert (await ward.changes())[-1] == ("amal", "locked", "button")


async def test_extend_puts_the_lock_off_and_never_past_the_cap(
    app: Application, ward: Bench
) -> None:
    """`idle_lock_s` is 300; without a tap three times that is the most."""
    session = await app.session()
    for _ in range(2):
        ward.clock.advance(200)
        assert (await app.ask("extend", session=session, seconds=300)).status_code == 204
        await ward.rest()
        assert await app.who() is not None
    mark, answers = len(ward.board.views), [204]
    while answers[-1] == 204 and len(answers) < 30:
        ward.clock.advance(20)
        answers.append((await app.ask("extend", session=session, seconds=1800)).status_code)
        await ward.rest()
    assert answers[-1] == 409
    await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    assert (await ward.changes())[-1] == ("amal", "locked", "idle")
    assert ward.clock.monotonic_ns() / 1e9 < 1 + 10 + 3 * 300 + 60


async def test_extend_is_never_instead_of_a_tap(app: Application, ward: Bench) -> None:
    session = await app.session()
    mark = len(ward.board.views)
    ward.do(LockPressed())
    await ward.until(lambda v: v.screen is Screen.LOCKED, mark)
    assert (await app.ask("extend", session=session, seconds=60)).status_code == 409
    assert await app.who() is None


@pytest.mark.parametrize("ended", ["bea", "amal"])
async def test_work_that_is_not_saved_is_ended_last(
    app: Application, ward: Bench, ended: str
) -> None:
    await ward.publish(rights.policy(parked_max=1), staff("cy", "CY", CY))
    amals_is_unsaved = ended == "bea"
    answer = await app.ask("unsaved", session=await app.session(), unsaved=amals_is_unsaved)
    assert answer.status_code == 204
    await ward.tap(BEA)
    await ward.sign_on(CY)
    assert [who for who, _, why in await ward.changes() if why == "evicted"] == [ended]


@pytest.mark.parametrize("what", ["lock", "extend", "unsaved", "countersign"])
async def test_a_program_of_somebody_who_has_gone_reaches_nobody_else(
    app: Application, ward: Bench, what: str
) -> None:
    session = await app.session()
    more: dict[str, dict[str, Any]] = {
        "lock": {},
        "extend": {"seconds": 60},
        "unsaved": {"unsaved": True},
        "countersign": {"title": "T", "text": "x", "document": "d0" * 32},
    }
    await ward.tap(BEA)
    answer = await app.ask(what, session=session, **more[what])
    assert (answer.status_code, answer.json()["error"]) == (409, "session-ended")
    now = await app.who()
    assert now is not None
    assert (now["initials"], now["state"]) == ("BE", "open")
    assert not ward.board.view.covered


# --- countersign -------------------------------------------------------------------------------


async def countersign(app: Application, ward: Bench, **how: Any) -> asyncio.Task[httpx.Response]:  # noqa: ANN401
    """Asked, on the glass, and read."""
    mark = len(ward.board.views)
    body = {"title": "Drug", "text": "Morphine 10 mg\nbed 4", "document": "d0" * 32, **how}
    asking = asyncio.create_task(app.ask("countersign", session=await app.session(), **body))
    await ward.until(lambda v: "countersign" in v.panels, mark)
    ward.clock.advance(READ_S)
    return asking


async def test_the_answer_is_checked_by_openssl_alone(
    app: Application, ward: Bench, tmp_path: Path
) -> None:
    asking = await countersign(app, ward)
    mark = len(ward.board.views)
    ward.readers.put(PLATE, BEA)
    await ward.until(lambda v: v.panels.get("countersign", {}).get("step") == "done", mark)
    ward.readers.take(PLATE)
    answer = (await asking).json()
    assert answer["result"] == "signed"
    signed = answer["signed"]
    assert (signed["holder"], signed["slot"]) == ("bea", "9E")
    record = base64.b64decode(signed["record"])
    named = json.loads(record)["detail"]["record"]
    assert named["text"] == text_digest("Drug\nMorphine 10 mg\nbed 4")
    assert named["document"] == "d0" * 32

    key = load_der_public_key(base64.b64decode(signed["key"]))
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "signature").write_bytes(base64.b64decode(signed["signature"]))
    assert openssl_verifies(tmp_path, DOMAIN + record)
    assert not openssl_verifies(tmp_path, DOMAIN + record + b" ")


def openssl_verifies(folder: Path, message: bytes) -> bool:
    """With `key.pem` and `signature` of that folder, and nothing of ours."""
    (folder / "message").write_bytes(message)
    command = "openssl dgst -sha256 -verify key.pem -signature signature message"
    checked = subprocess.run(command.split(), cwd=folder, capture_output=True, check=False)
    return checked.returncode == 0


async def test_who_hangs_up_leaves_no_text_on_the_glass(doors: OpenDoors, ward: Bench) -> None:
    app = doors.application()
    asking = await countersign(app, ward)
    mark = len(ward.board.views)
    asking.cancel()
    await ward.until(lambda v: "countersign" not in v.panels and not v.covered, mark)


async def test_nothing_is_told_once_the_session_has_ended(app: Application, ward: Bench) -> None:
    asking = await countersign(app, ward)
    ward.do(LockPressed())
    answer = await asking
    assert (answer.status_code, answer.json()["error"]) == (409, "session-ended")
    assert "signed" not in answer.json()


async def test_only_one_is_asked_at_a_time(app: Application, ward: Bench) -> None:
    asking = await countersign(app, ward)
    answer = await app.ask(
        *("countersign",),
        session=await app.session(),
        title="T",
        text="another",
        document="d0" * 32,
    )
    assert (answer.status_code, answer.json()["error"]) == (409, "not-now")
    ward.do(LockPressed())
    await asking


# --- the description, and what it costs ------------------------------------------------------


def test_the_file_describes_the_routes_as_they_are() -> None:
    hint = "python -m firmware_py.local_api.openapi > docs/api/terminal.json"
    assert describe() == FILE.read_text(), hint
    described = {
        (method.upper(), path) for path, item in DESCRIBED["paths"].items() for method in item
    }
    assert described == {(route.method, route.path) for route in ROUTES}


async def test_every_answer_is_one_that_the_file_describes(doors: OpenDoors, ward: Bench) -> None:
    app = doors.application()
    session = await app.session()
    bodies: dict[str, list[Any]] = {
        "/v1/unsaved": [{"session": session, "unsaved": True}],
        "/v1/extend": [{"session": session, "seconds": 1}, {"session": session, "seconds": 0}],
        "/v1/countersign": [{}],
        "/v1/lock": [{}, [], {"session": NOBODY}, {"session": session}],
    }
    for route in ROUTES:
        operation = DESCRIBED["paths"][route.path][route.method.lower()]
        for body in bodies.get(route.path, [None]):
            async with app.client.stream(route.method, route.path, json=body) as answer:
                described = operation["responses"][str(answer.status_code)]
                kind = answer.headers.get("content-type")
                assert {kind} == (set(described.get("content", {})) or {None})
                if kind == "application/json":
                    await answer.aread()
                    require(described["content"][kind]["schema"], answer.json())
        wrong = "POST" if route.method == "GET" else "GET"
        refused = await app.client.request(wrong, route.path)
        assert refused.status_code == 405
        require({"$ref": "#/components/schemas/Refusal"}, refused.json())


def require(schema: dict[str, Any], value: Any) -> None:  # noqa: ANN401
    """Our own descriptions are closed objects of plain fields: that much of JSON Schema."""
    if "$ref" in schema:
        schema = DESCRIBED["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        schema = next(s for s in schema["anyOf"] if (s.get("type") == "null") == (value is None))
        require(schema, value)
    elif schema.get("type") == "object" or "properties" in schema:
        assert set(schema["required"]) <= set(value) <= set(schema["properties"])
        for name, inner in value.items():
            require(schema["properties"][name], inner)
    else:
        kinds = {"string": str, "integer": int, "boolean": bool, "null": type(None)}
        assert "type" not in schema or isinstance(value, kinds[schema["type"]])
        assert "enum" not in schema or value in schema["enum"]


def modes(folder: Path) -> list[int]:
    files = (folder / "local.sock", folder / "local.json")
    return [stat.S_IMODE(file.stat().st_mode) for file in files]


async def test_the_doors_in_the_state_folder_are_the_daemons_alone(doors: OpenDoors) -> None:
    assert stat.S_IMODE(doors.folder.stat().st_mode) == 0o700
    assert modes(doors.folder) == [0o600, 0o600]


async def test_a_folder_of_the_sites_is_for_its_group(short_tmp: Path) -> None:
    folder = short_tmp / "door"
    folder.mkdir()
    folder.chmod(0o750)
    group = max(os.getgroups(), default=os.getgid())
    os.chown(folder, -1, group)
    doors = Doors.open(LocalApiSettings(port=0, folder=folder), short_tmp / "state")
    assert modes(folder) == [0o660, 0o640]
    assert {(folder / name).stat().st_gid for name in ("local.sock", "local.json")} == {group}
    doors.close()
    assert list(folder.iterdir()) == []


async def test_who_connects_is_logged(doors: OpenDoors, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "tapover.local_api"):
        await doors.application().who()
    (told,) = [r for r in caplog.records if r.getMessage() == "an application"]
    assert (told.__dict__["pid"], told.__dict__["uid"]) == (os.getpid(), os.getuid())


def test_a_terminal_nobody_asks_does_not_load_what_answers() -> None:
    probe = (
        "import sys, firmware_py.app\n"
        "rooms = ('firmware_py.local_api.', 'firmware_py.countersign.')\n"
        "print(*sorted(m for m in sys.modules if m.startswith(rooms)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"firmware_py.local_api.routes", "firmware_py.countersign.desk"} & set(loaded)
    assert "firmware_py.local_api.bodies" not in loaded
