"""Programs and pages of the same machine that mean no good, at both doors of the local API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.countersigning import CountersignEnded, text_digest
from contract.emergency import DowntimeTerms
from contract.ids import Digest, SessionId
from contract.signing import sha256
from firmware_py.countersign.values import Wanted
from firmware_py.glass.commands import Cancelled
from firmware_py.glass.view import Screen
from firmware_py.local_api import bodies
from firmware_py.local_api.bodies import MAX_BODY_BYTES, TEXT_CAP
from firmware_py.local_api.door import Doors
from firmware_py.local_api.guard import ASK_BURST, BURST
from firmware_py.local_api.routes import Refused, read
from firmware_py.settings import LocalApiSettings
from hardware.virtual.sample import personalised
from runtime.settings import PortError, SettingsError
from tests.firmware import rights
from tests.firmware.applications import OpenDoors
from tests.firmware.bench import DEADLINE_S, PIN, Bench, staff

AMAL = personalised()
TEXT = {"title": "T", "text": "x", "document": "d0" * 32}


@pytest_asyncio.fixture
async def ward(short_tmp: Path) -> AsyncIterator[Bench]:
    AMAL.pin.left = 3
    async with Bench(short_tmp / "state") as bench:
        await bench.open_day(staff("amal", "AM", AMAL))
        await bench.sign_on(AMAL)
        yield bench


@pytest_asyncio.fixture
async def doors(ward: Bench, short_tmp: Path) -> AsyncIterator[OpenDoors]:
    async with OpenDoors(ward, short_tmp / "state") as doors:
        yield doors


# --- who may ask -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer x"},
        {"authorization": "Bearer " + "A" * 43},
        {"authorization": "Basic dXNlcjpwYXNz"},
    ],
)
async def test_without_this_runs_token_loopback_tells_nothing(
    doors: OpenDoors, ward: Bench, headers: dict[str, str]
) -> None:
    app = doors.over_loopback()
    del app.client.headers["authorization"]
    for path in ("/v1/session", "/v1/events", "/v1/no-such-thing"):
        answer = await app.client.get(path, headers=headers)
        assert answer.status_code == 401
        assert "amal" not in answer.text.lower()
    assert (await app.client.post("/v1/lock", json={}, headers=headers)).status_code == 401
    assert ward.board.view.screen is Screen.OPEN


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1"},
        {"origin": "null"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "cross-site"},
    ],
)
async def test_no_page_of_a_browser_is_let_in_at_either_door(
    doors: OpenDoors, headers: dict[str, str]
) -> None:
    for app in (doors.application(), doors.over_loopback()):
        assert (await app.client.get("/v1/session", headers=headers)).status_code == 403


async def test_a_foreign_name_pointed_at_loopback_is_refused(doors: OpenDoors) -> None:
    app = doors.over_loopback()
    for host in ("evil.example", "localhost", "127.0.0.1"):
        assert (await app.client.get("/v1/session", headers={"host": host})).status_code == 403


async def test_a_token_of_an_earlier_run_is_worth_nothing(
    doors: OpenDoors, short_tmp: Path
) -> None:
    earlier = doors.told["token"]
    assert (await doors.over_loopback(earlier).client.get("/v1/session")).status_code == 200
    (again := short_tmp / "again").mkdir()
    async with OpenDoors(doors.bench, again) as later:
        assert later.told["token"] != earlier
        answer = await later.over_loopback(earlier).client.get("/v1/session")
    assert answer.status_code == 401


async def test_the_token_is_never_logged(
    doors: OpenDoors, caplog: pytest.LogCaptureFixture
) -> None:
    token = doors.told["token"]
    with caplog.at_level("DEBUG"):
        await doors.over_loopback().who()
        await doors.over_loopback("wrong").client.get("/v1/session")
    assert token not in caplog.text


def test_the_socket_is_the_daemons_own_whatever_lay_there(short_tmp: Path) -> None:
    (short_tmp / "run").mkdir()
    (short_tmp / "run" / "local.sock").write_text("a stale one")
    deep = short_tmp / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    for state in (short_tmp, deep):
        doors = Doors.open(LocalApiSettings(), state)
        made = state / "run" / "local.sock"
        assert made.is_socket()
        assert made.parent.stat().st_mode & 0o077 == 0, "nobody else comes as far as the socket"
        doors.close()
        assert not made.exists()


def test_a_port_that_is_taken_is_said_in_one_line(short_tmp: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=r"local_api\.port"):
            Doors.open(LocalApiSettings(socket=False, port=port), short_tmp)


def test_a_folder_that_cannot_be_made_is_said_in_one_line(short_tmp: Path) -> None:
    (short_tmp / "run").write_text("no folder")
    with pytest.raises(SettingsError, match="local_api"):
        Doors.open(LocalApiSettings(), short_tmp)


# --- what they send ----------------------------------------------------------------------------


async def test_whoever_floods_is_told_to_wait_and_the_glass_goes_on(
    doors: OpenDoors, ward: Bench
) -> None:
    app = doors.application()
    answers = [(await app.client.get("/v1/session")).status_code for _ in range(BURST + 20)]
    assert answers.count(200) == BURST
    assert set(answers[BURST:]) == {429}
    refused = await app.client.get("/v1/session")
    assert refused.headers["retry-after"] == "1"
    ward.touch()
    await ward.rest()
    await ward.until(lambda v: v.screen is Screen.DIMMED, ward.pass_time(120))
    assert (await app.client.get("/v1/session")).status_code == 200


@pytest.mark.parametrize("what", ["lock", "unsaved", "extend", "countersign"])
async def test_bodies_without_bounds_are_refused(doors: OpenDoors, what: str) -> None:
    app = doors.application()
    answer = await app.client.post(
        f"/v1/{what}",
        content=b" " * (MAX_BODY_BYTES + 1),
        headers={"content-type": "application/json"},
    )
    assert (answer.status_code, answer.json()["error"]) == (413, "too-much")
    assert (await app.client.post(f"/v1/{what}", content=b"{}")).status_code == 415


@pytest.mark.parametrize(
    "changes",
    [
        {"text": ""},
        {"text": "x" * (TEXT_CAP + 1)},
        {"text": "shown\u202ehidden"},
        {"text": "shown\u200bhidden"},
        {"text": "over\rwritten"},
        {"text": "\x1b[2J"},
        {"text": "shown\u00adhidden"},
        {"text": "shown\U000e0041hidden"},
        {"text": "shown\u3164hidden"},
        {"text": "shown\ufe0fhidden"},
        {"text": "5 mg \u05d0 10 mg"},
        {"text": "m\u043erphine"},
        {"text": "\u0391moxicillin"},
        {"text": "covered" + "\u0336" * 3},
        {"text": " \n "},
        {"text": "first\n \n\nfar below"},
        {"text": "first" + "\u2003" * 40 + "far aside"},
        {"title": "Drug\u00ad"},
        {"title": "two\nlines"},
        {"title": "x" * 81},
        {"document": "d0" * 31},
        {"document": "D0" * 32},
        {"pin": "yes"},
        {"session": "../" * 10},
        {"more": 1},
    ],
)
async def test_a_text_is_what_a_person_would_see_or_nothing(
    doors: OpenDoors, ward: Bench, changes: dict[str, object]
) -> None:
    app = doors.application()
    body = {"session": await app.session(), **TEXT, **changes}
    answer = await app.client.post("/v1/countersign", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "malformed")
    assert "countersign" not in ward.board.view.panels


@pytest.mark.parametrize(
    "text",
    [
        "Morphine 10 mg i.v.\n\n5 \u03bcg/kg, \u03b2hCG, 2 \u00b5mol/L \u2265 3",
        "Si\u00f4n D\u0175r, gwely 4",
    ],
)
def test_what_wards_write_is_let_through(text: str) -> None:
    body = {"session": "0" * 32, **TEXT, "text": text}
    assert read(bodies.Countersign, json.dumps(body).encode()).text == text


async def test_the_title_is_signed_with_the_text_under_it(doors: OpenDoors, ward: Bench) -> None:
    app = doors.application()
    asked = {"session": await app.session(), "document": TEXT["document"]}
    digests = set()
    for title, text in (("Real", "10 mg"), ("Practice only", "10 mg")):
        mark = len(ward.board.views)
        asking = asyncio.create_task(app.ask("countersign", title=title, text=text, **asked))
        await ward.until(lambda v: "countersign" in v.panels, mark)
        ward.do(Cancelled())
        await asking
        ended = [e.detail for e in await ward.events()][-1]
        assert isinstance(ended, CountersignEnded)
        digests.add(ended.text)
    assert len(digests) == 2


@pytest.mark.parametrize("ends", [False, True])
def test_no_application_has_the_wards_downtime_signed_as_if_it_were_its_own(*, ends: bool) -> None:
    """Such a record names the words alone, and these are one line; an application's has a title."""
    terms = DowntimeTerms(
        site=rights.SITE,
        terminal=rights.TERMINAL,
        ward=rights.WARD,
        begins_ms=rights.NOW_MS,
        limit_s=600,
        off=("R8001L",),
        nonce="0e" * 32,
        ends=ends,
    )
    words, document = terms.words(), Digest(sha256(terms.to_bytes()))
    assert "\n" not in words
    middle = len(words) // 2
    for title, text in ((words, words), ("-", words), (words[:middle], words[middle:])):
        wanted = Wanted(SessionId("0" * 32), title, text, document, pin=True, answer=lambda _: None)
        assert wanted.digest != text_digest(words)


async def test_whoever_asks_people_again_and_again_is_told_to_wait(
    doors: OpenDoors, ward: Bench
) -> None:
    app, statuses = doors.application(), []
    for _ in range(ASK_BURST + 2):
        body = {"session": "0" * 32, **TEXT}  # nobody's: refused before anybody is asked
        statuses.append((await app.ask("countersign", **body)).status_code)
    assert statuses == [409] * ASK_BURST + [429] * 2
    assert await app.who() is not None


@pytest.mark.parametrize("seconds", [0, -1, 10**9, 1.5, "60", True, None])
async def test_an_extension_is_a_number_of_seconds_within_the_ceiling(
    doors: OpenDoors, seconds: object
) -> None:
    app = doors.application()
    answer = await app.client.post(
        "/v1/extend", json={"session": await app.session(), "seconds": seconds}
    )
    assert answer.status_code == 400


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=400)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["session", "text", "title", "document", "pin", "seconds", "unsaved", "x"]
                ),
                inner,
                max_size=4,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_end_in_our_own_refusal(body: bytes) -> None:
    for kind in (bodies.Countersign, bodies.Extend, bodies.Lock, bodies.UnsavedNow):
        with contextlib.suppress(Refused):
            read(kind, body)


async def test_a_refusal_never_quotes_what_was_sent(doors: OpenDoors) -> None:
    answer = await doors.application().client.post(
        "/v1/countersign", json={"session": "a secret", "text": ["a secret"]}
    )
    assert answer.status_code == 400
    assert "secret" not in answer.text


async def test_a_crowd_that_says_nothing_keeps_nobody_out(doors: OpenDoors) -> None:
    crowd = [await asyncio.open_unix_connection(str(doors.socket)) for _ in range(40)]
    assert await doors.application().who() is not None
    for _, writer in crowd:
        writer.close()


async def test_a_countersign_begun_and_left_again_and_again_leaves_nothing(
    doors: OpenDoors, ward: Bench
) -> None:
    app = doors.application()
    session = await app.session()
    for _ in range(5):
        mark = len(ward.board.views)
        asking = asyncio.create_task(app.ask("countersign", session=session, **TEXT))
        await ward.until(lambda v: "countersign" in v.panels, mark)
        asking.cancel()
        await ward.until(lambda v: "countersign" not in v.panels and not v.covered, mark)
    assert await app.session() == session


# --- what they are never told -----------------------------------------------------------------


async def test_no_secret_and_nothing_of_a_card_is_ever_told(
    doors: OpenDoors, ward: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    assert AMAL.guid is not None
    app = doors.application()
    heard = [(await app.client.get("/v1/session")).text]
    async with app.client.stream("GET", "/v1/events") as stream:
        async for line in stream.aiter_lines():
            heard.append(line)
            if line.startswith("data"):
                break
    told = "".join(heard).lower()
    assert "amal" in told
    for secret in (PIN, AMAL.guid.hex(), doors.told["token"].lower()):
        assert secret not in told


async def test_an_application_that_stops_reading_costs_nothing(
    doors: OpenDoors, ward: Bench
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(doors.socket))
    writer.write(b"GET /v1/events HTTP/1.1\r\nhost: here\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"event: session"), DEADLINE_S)
    for _ in range(50):  # nobody reads any more
        ward.touch()
        ward.clock.advance(130)
        await ward.rest()
    assert (await doors.application().client.get("/v1/session")).status_code == 200
    writer.close()


def test_whoever_may_not_open_the_socket_is_kept_out_by_the_kernel(short_tmp: Path) -> None:
    doors = Doors.open(LocalApiSettings(), short_tmp)
    mode = (short_tmp / "run" / "local.sock").stat().st_mode
    assert mode & 0o007 == 0
    assert (short_tmp / "run").stat().st_mode & 0o007 == 0
    doors.close()
    assert not (short_tmp / "run" / "local.sock").exists()


@pytest.mark.parametrize("mode", [0o770, 0o757])
def test_nobody_else_can_sit_at_the_door(short_tmp: Path, mode: int) -> None:
    folder = short_tmp / "door"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(SettingsError, match="go-w"):
        Doors.open(LocalApiSettings(folder=folder), short_tmp)
    assert list(folder.iterdir()) == []
