"""What a peer sends is understood exactly or refused whole, with our own error."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import (
    checkpoint,
    directory,
    events,
    journal,
    policy,
    signing,
    statements,
    tap,
    topics,
)
from contract.ids import SiteId, TerminalId, is_name
from contract.wire import MAX_DEPTH, Record, WireError, check_i_json, decode_base64, encode_base64
from tests.contract.vectors.generate import VECTORS

GOLDEN = json.loads(VECTORS.read_text())
BYTES = {name: one["bytes"].encode() for name, one in GOLDEN["records"].items()}
LOG_KEY = signing.VerifyKey.from_base64(GOLDEN["keys"]["log"])

READERS: tuple[type[Record], ...] = (
    signing.Envelope,
    events.Event,
    policy.Policy,
    directory.ChunkList,
    checkpoint.CheckpointMessage,
    tap.PinProof,
    tap.MoveRequest,
    statements.TerminalStatus,
    statements.KeyStatement,
    statements.Heartbeat,
    journal.BatchStatement,
    journal.Receipt,
    directory.DirectoryChange,
    directory.DirectoryManifest,
)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":1.5}',
        '{"a":1e3}',
        '{"a":NaN}',
        '{"a":9007199254740992}',
        '{"a":-9007199254740992}',
        '{"a":"\\ud800"}',
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "[" * 100_000,
        "",
        '{"a":1}x',
    ],
)
def test_json_that_two_readers_could_take_differently_is_refused(text: str) -> None:
    with pytest.raises(WireError):
        check_i_json(text.encode(), 1_000_000)


def test_more_bytes_than_the_cap_are_refused_before_they_are_read() -> None:
    with pytest.raises(WireError, match="more than 4 bytes"):
        check_i_json(b"[1,2]", 4)


@pytest.mark.parametrize("text", ["QQ", "QR==", "QQ==\n", "Q Q=", "QQ===", "-_=="])
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(WireError):
        decode_base64(text)


@given(st.binary(max_size=64))
def test_base64_comes_back(raw: bytes) -> None:
    assert decode_base64(encode_base64(raw)) == raw


@given(st.sampled_from(READERS), st.binary(max_size=200))
def test_any_bytes_end_in_our_own_error(reader: type[Record], data: bytes) -> None:
    with pytest.raises(WireError):
        reader.from_bytes(data)


@pytest.mark.parametrize("name", [name for name in BYTES if name.startswith("event-")])
@pytest.mark.parametrize("inside", [False, True])
def test_a_refusal_repeats_nothing_of_what_it_was_told(name: str, *, inside: bool) -> None:
    """It goes into logs: an unknown field's name may be anything, a patient's too."""
    told = json.loads(BYTES[name])
    (told["detail"] if inside else told)["Ms Smith, bay 3"] = 1
    with pytest.raises(WireError, match="extra_forbidden") as refused:
        events.Event.from_bytes(json.dumps(told).encode())
    assert "Smith" not in str(refused.value)


@given(
    st.sampled_from(sorted(BYTES)),
    st.integers(0, 10_000),
    st.integers(1, 255),
    st.sampled_from(READERS),
)
def test_a_mutated_record_is_read_or_refused_never_more(
    name: str, at: int, flip: int, reader: type[Record]
) -> None:
    data = bytearray(BYTES[name])
    data[at % len(data)] ^= flip
    mutated = bytes(data)
    with contextlib.suppress(WireError):
        reader.from_bytes(mutated)
    with contextlib.suppress(WireError):
        directory.parse_entry(mutated)
    with contextlib.suppress(WireError, signing.SignatureRefused):
        text = mutated.decode("utf-8", "surrogateescape")
        checkpoint.open_checkpoint(text, SiteId("st-elsewhere"), 1, LOG_KEY)
    with contextlib.suppress(WireError):
        _envelope, bodies = journal.split_lines(mutated, journal.MAX_BATCH_BYTES)
        journal.require_bodies(bodies, (), events.Event.CAP)


@given(st.text(max_size=60))
def test_a_topic_is_one_of_ours_or_refused(text: str) -> None:
    with contextlib.suppress(WireError):
        assert str(topics.parse_topic(text)).split("/")[-1] in text


@pytest.mark.parametrize("channel", [*topics.FromTerminal, *topics.ToTerminal])
def test_a_terminals_topic_is_read_back(channel: topics.FromTerminal | topics.ToTerminal) -> None:
    topic = topics.terminal_topic(TerminalId("bay-1"), channel)
    assert topics.parse_topic(topic) == topics.TerminalTopic(TerminalId("bay-1"), channel)


@pytest.mark.parametrize(
    "topic",
    [
        "tapover/v1/gateway/audit",
        "tapover/v1/bay+/audit",
        "tapover/v1/site/audit",
        "tapover/v2/a/pin",
    ],
)
def test_a_topic_that_nobody_may_write_is_refused(topic: str) -> None:
    with pytest.raises(WireError):
        topics.parse_topic(topic)


@given(st.text(max_size=50))
def test_a_name_is_safe_in_topic_path_and_certificate(text: str) -> None:
    if is_name(text):
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert 0 < len(text) <= 48


def test_a_policy_beyond_its_ceiling_is_no_policy() -> None:
    good = json.loads(BYTES["policy"])
    with pytest.raises(WireError, match="offline_limit_s"):
        policy.Policy.from_bytes(json.dumps(good | {"offline_limit_s": 90_000}).encode())


def test_the_widest_rights_get_the_shortest_grace() -> None:
    found = policy.Policy.from_bytes(BYTES["policy"])
    assert found.grace_for("R8001L") == 900
    assert found.grace_for("R8001") == found.grace_s


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"guid": "0" * 32}, "nil GUID"),
        ({"credentials": []}, "no key"),
        ({"unknown": 1}, "a field nobody knows"),
        ({"not_before_ms": "1"}, "text for a number"),
    ],
)
def test_an_unsound_entitlement_is_refused(change: dict[str, object], why: str) -> None:
    entry = json.loads(BYTES["entitlement"]) | change
    with pytest.raises(WireError):
        directory.parse_entry(json.dumps(entry).encode())


def test_the_same_key_in_9a_and_9e_is_refused() -> None:
    entry = json.loads(BYTES["entitlement"])
    entry["credentials"][1]["key"] = entry["credentials"][0]["key"]
    with pytest.raises(WireError):
        directory.parse_entry(json.dumps(entry).encode())
