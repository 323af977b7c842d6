"""Whatever a reader sends, a card answers something well-formed and goes on living."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hardware.apdu import MAX_RAW_RESPONSE, ResponseApdu
from hardware.virtual.applet import Applet
from hardware.virtual.behaviour import Behaviour
from hardware.virtual.card import Card
from hardware.virtual.names import Access, Algorithm, Ins, ObjectTag, Slot
from hardware.virtual.powered import PoweredCard
from hardware.virtual.sample import personalised
from tests.virtual.talk import Talk

# Generating RSA keys is slow and needs no luck, so the one command is left out here.
SAMPLE = personalised(slots=Slot, certificates=True)
RSA_SAMPLE = personalised(algorithm=Algorithm.RSA_2048, slots=[Slot.CARD_AUTHENTICATION])

tags = st.sampled_from([0x5C, 0x53, 0x7C, 0x80, 0x81, 0x82, 0x85, 0xAC, 0xAA, 0x01, 0x02, 0x06])


@st.composite
def tlv(draw: st.DrawFn, depth: int = 2) -> bytes:
    if depth and draw(st.booleans()):
        value = b"".join(draw(st.lists(tlv(depth=depth - 1), max_size=3)))
    else:
        value = draw(st.binary(max_size=70))
    claimed = draw(st.sampled_from([len(value), len(value), len(value) + 1, 0]))
    return bytes((draw(tags),)) + bytes((claimed & 0x7F,)) + value


data_fields = st.one_of(
    st.binary(max_size=255),
    tlv(),
    st.sampled_from([f"5C03{tag:06X}" for tag in ObjectTag if tag > 0xFFFF]).map(bytes.fromhex),
    st.sampled_from(["123456", "000000"]).map(lambda pin: pin.encode().ljust(8, b"\xff")),
)


@st.composite
def commands(draw: st.DrawFn) -> bytes:
    """Mostly the card's own instructions and references, with any data."""
    cla = draw(st.sampled_from([0x00, 0x00, 0x00, 0x10, 0x0C, 0x80]))
    ins = draw(st.sampled_from([int(one) for one in Ins]) | st.integers(0, 255))
    p1 = draw(st.sampled_from([0x00, 0x04, 0x03, 0x07, 0x11, 0x3F, 0xFF]) | st.integers(0, 255))
    p2 = draw(st.sampled_from([0x00, 0x80, 0x81, 0x9A, 0x9B, 0x9C, 0x9E, 0xFF]))
    data = draw(data_fields)[:255]
    le = draw(st.sampled_from([b"", b"\0", b"\x08"]))
    raw = bytes((cla, ins, p1, p2)) + (bytes((len(data),)) + data if data else b"") + le
    return b"" if ins == Ins.GENERATE_ASYMMETRIC_KEY_PAIR and b"\x80\x01\x07" in data else raw


def well_formed(answer: bytes) -> None:
    assert 2 <= len(answer) <= 258 < MAX_RAW_RESPONSE
    ResponseApdu.decode(answer)


def fresh(access: Access = Access.CONTACT, sample: Card = SAMPLE) -> Applet:
    card = Card(keys=dict(sample.keys), objects=dict(sample.objects))
    applet = Applet(card, access)
    Talk(applet).select()
    return applet


@given(st.binary(max_size=300))
def test_any_bytes_at_all(raw: bytes) -> None:
    well_formed(fresh().transmit(raw))


@given(st.sampled_from(Access), st.lists(commands(), max_size=12))
def test_any_run_of_commands_on_any_interface(access: Access, run: list[bytes]) -> None:
    applet = fresh(access)
    for command in run:
        well_formed(applet.transmit(command))
    Talk(applet).select()


@given(st.lists(commands(), max_size=12))
def test_any_run_of_commands_with_pin_and_management_key_proven(run: list[bytes]) -> None:
    applet = fresh()
    talk = Talk(applet)
    assert talk.verify("123456") == talk.manage() == 0x9000
    for command in run:
        well_formed(applet.transmit(command))
    Talk(applet).select()


@given(st.lists(commands(), max_size=12))
def test_any_run_of_commands_on_an_rsa_card(run: list[bytes]) -> None:
    applet = fresh(sample=RSA_SAMPLE)
    for command in run:
        well_formed(applet.transmit(command))


@given(st.lists(commands() | st.binary(max_size=300), max_size=8))
def test_the_record_counts_every_exchange_whatever_it_was(run: list[bytes]) -> None:
    card = Card(keys=dict(SAMPLE.keys), objects=dict(SAMPLE.objects))
    with PoweredCard(card, Behaviour()) as powered:
        for command in run:
            well_formed(powered.transmit(command))
    assert [one.command_bytes for one in card.record.exchanges] == [len(one) for one in run]


@given(st.lists(commands(), max_size=12))
def test_no_run_of_commands_changes_a_strict_card_over_contactless(run: list[bytes]) -> None:
    card = Card(keys=dict(SAMPLE.keys), objects=dict(SAMPLE.objects))
    applet = Applet(card, Access.CONTACTLESS_STRICT)
    Talk(applet).select()
    before = repr(card), dict(card.keys), dict(card.objects)
    for command in run:
        applet.transmit(command)
    assert (repr(card), card.keys, card.objects) == before
