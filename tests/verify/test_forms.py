"""One spelling of everything: what is signed and says the same in other bytes is refused too."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapover_verify
from tests.verify.maker import Card
from tests.verify.signers import Fields, b64, compact, digest
from tests.verify.story import Auditor, open_ward


def respelled(leaf: bytes) -> list[bytes]:
    """The same statement, signature untouched, in other bytes."""
    fields = json.loads(leaf)
    one = fields["signatures"][0]
    raw = base64.b64decode(one["sig"])
    long_form = b"\x30\x81" + raw[1:]  # BER: a length in two bytes
    padded = b"\x30" + bytes([raw[1] + 1, 2, raw[3] + 1, 0]) + raw[4:]  # r with a zero before it
    other_sigs = [b64(other) for other in (long_form, padded, raw + b"\x00")]
    return [
        json.dumps(fields).encode(),
        b" " + leaf,
        leaf + b"\n",
        leaf.replace(b'"payload":', b'"payload": '),
        compact(dict(reversed(fields.items()))),
        compact(fields | {"signatures": [one, one]}),
        compact(fields | {"signatures": []}),
        compact(fields | {"signatures": [one | {"more": 1}]}),
        compact(fields | {"signatures": [one | {"keyid": one["keyid"].upper()}]}),
        leaf.replace(b'"payloadType"', b'"payload\\u0054ype"'),
        compact(fields | {"payload": fields["payload"].rstrip("=") + "===="}),
        compact(fields | {"payload": fields["payload"] + "\n"}),
        *(compact(fields | {"signatures": [one | {"sig": other}]}) for other in other_sigs),
    ]


def test_a_statement_in_another_spelling_is_refused(auditor: Auditor) -> None:
    ward = open_ward()
    ward.terminal.batch()
    leaf = ward.site.leaves[-1]
    auditor.accepts(ward.site)
    for other in respelled(leaf):
        ward.site.leaves[-1] = other
        assert auditor.judge(ward.site).exit == 1, other


def test_base64_has_one_spelling(auditor: Auditor) -> None:
    for length in (1, 2):
        text = b64(b"\xff" * length)
        ward = open_ward()
        loose = text.rstrip("=")[:-1] + {"w": "x", "8": "9"}[text.rstrip("=")[-1]]
        padded = loose + "=" * (-len(loose) % 4)
        assert base64.b64decode(padded) == base64.b64decode(text)
        ward.terminal.event("heartbeat.held", envelope=padded)
        ward.terminal.batch()
        auditor.refuses(ward.site, "base64 that is not in its one spelling")


@pytest.mark.parametrize(
    ("swap", "words"),
    [
        ((b'"boot":', b'"boot":"b-2","boot":'), "a name twice"),
        ((b'"kind":"note"', b'"kind":"note","x":{"a":1,"a":1}'), "a name twice"),
        ((b'"monotonic_ms":', b'"later":1.5,"monotonic_ms":'), "no integer"),
        ((b'"monotonic_ms":', b'"later":1e3,"monotonic_ms":'), "no integer"),
        ((b'"monotonic_ms":', b'"later":NaN,"monotonic_ms":'), "no integer"),
        ((b'"monotonic_ms":', b'"later":9007199254740992,"monotonic_ms":'), "beyond 2^53"),
        ((b'"monotonic_ms":', b'"later":"\\ud800","monotonic_ms":'), "no I-JSON"),
        ((b'"monotonic_ms":', b'"later":"\xff","monotonic_ms":'), "no I-JSON"),
        ((b'"monotonic_ms":', b'"later":' + b"[" * 3000 + b',"monotonic_ms":'), "no I-JSON"),
        ((b'"sequence":1', b'"sequence":true'), "is no int"),
        ((b'"sequence":1', b'"sequence":"1"'), "is no int"),
        ((b'"clock":"site"', b'"clock":"sundial"'), "the field 'clock' is"),
        ((b'"salt":"', b'"salt":"0'), "bytes in lower-case hex"),
        ((b'"boot":"b-1",', b""), "the field 'boot' is missing"),
        ((b'"kind":"note"', b'"kind":"note","pad":"' + b"x" * 4096 + b'"'), "more than 4,096"),
    ],
)
def test_an_event_is_strict_json(auditor: Auditor, swap: tuple[bytes, bytes], words: str) -> None:
    ward = open_ward()
    ward.terminal.event("note")
    changed = ward.terminal.events[1].replace(*swap, 1)
    assert changed != ward.terminal.events[1]
    ward.terminal.events[1] = changed
    ward.terminal.chain[2] = digest(ward.terminal.chain[1], digest(changed))
    ward.terminal.batch()
    auditor.refuses(ward.site, words)


def compressed(card: Card) -> str:
    """The same point of the card's key in its shorter encoding."""
    spki = card.nine_e.spki
    x, last = spki[27:59], spki[-1]
    head = b"\x30\x39" + spki[2:23] + b"\x03\x22\x00"
    return b64(head + bytes([2 + (last & 1)]) + x)


def test_a_key_has_one_encoding(auditor: Auditor) -> None:
    ward = open_ward()
    for other in (compressed(ward.vogel), b64(ward.vogel.nine_e.spki + b"\x00"), b64(b"key")):
        ward = open_ward()
        entry = ward.vogel.entitlement()
        entry["credentials"][1]["key"] = other
        ward.site.change(entry)
        auditor.refuses(ward.site, "a public key that ")


def test_a_card_signature_has_one_encoding(auditor: Auditor) -> None:
    ward = open_ward()
    record = ward.terminal.record(ward.vogel)
    raw = ward.vogel.nine_e.sign(b"tapover:card:v1\n" + ward.terminal.events[record])
    ward.terminal.outcome(ward.vogel, record, signature=b64(b"\x30\x81" + raw[1:]))
    ward.terminal.batch()
    auditor.refuses(ward.site, "a card's signature that does not hold")


def test_what_evidence_says_cannot_steer_the_auditors_screen(auditor: Auditor) -> None:
    ward = open_ward()
    right_to_left = "\u202e"
    rule = f"\x1b[2J\x1b]0;ALL PROVEN\x07{right_to_left}{'x' * 500}"
    ward.terminal.batch()
    ward.gateway.delete(ward.terminal, 0, 1, rule)
    ward.gateway.batch()
    said = auditor.accepts(ward.site)
    assert "\x1b" not in said
    assert right_to_left not in said
    assert "x" * 100 not in said


@given(st.binary(max_size=300))
def test_no_bytes_at_all_end_in_anything_but_a_refusal(data: bytes) -> None:
    with pytest.raises(tapover_verify.Refused):
        tapover_verify.read_envelope(data, "batch", "keys")
    with pytest.raises(tapover_verify.Refused):
        tapover_verify.read_note(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


@given(st.sampled_from(["batch", "directory-change", "directory-manifest", "event"]), st.data())
def test_a_statement_of_any_shape_ends_in_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    """Well signed by those who may, but one field is of any type and value."""
    ward = open_ward()
    lie = data.draw(JSON)

    def one_of(fields: list[str]) -> Fields:
        return {data.draw(st.sampled_from(fields)): lie}

    if kind == "event":
        ward.terminal.hold()
        record = ward.terminal.record(ward.vogel)
        for number in (0, 1, record):
            detail: Fields = json.loads(ward.terminal.events[number])["detail"]
            ward.terminal.event(detail.pop("kind"), **detail | one_of(sorted(detail)))
        fields: Fields = json.loads(ward.terminal.events[record])["detail"]["record"]
        last = ward.terminal.record(ward.vogel, **one_of(sorted(fields)))
        ward.terminal.outcome(ward.vogel, last)
        ward.terminal.batch()
    elif kind == "batch":
        names = ["terminal", "journal", "first", "previous", "events", "holds"]
        ward.terminal.batch(**one_of(names))
    else:
        names = ["version", "previous", "entries", "request", "head", "site", "issued_ms"]
        make = ward.site.manifest if kind == "directory-manifest" else ward.site.change
        make(**one_of(names))
    export = ward.site.write(tmp_path_factory.mktemp("any") / "export")
    assert tapover_verify.main([str(export), "--root", ward.site.fingerprint]) in {0, 1}
