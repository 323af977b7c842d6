"""One root follows another by its word, in a line that anybody checks from the pinned one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from contract.ids import SiteId
from contract.signing import Envelope, SignatureRefused, SoftwareSigner
from contract.succession import (
    MAX_LINE_BYTES,
    MAX_SUCCESSIONS,
    RootSuccession,
    follow,
    join_line,
    split_line,
)
from contract.wire import WireError

SITE = SiteId("st-elsewhere")
ROOTS = [SoftwareSigner(ec.generate_private_key(ec.SECP256R1())) for _ in range(4)]
IDS = [root.public.key_id for root in ROOTS]


def declared(old: SoftwareSigner, new: SoftwareSigner, site: SiteId = SITE) -> Envelope:
    return RootSuccession(
        site=site,
        root=old.public.to_base64(),
        next=new.public.to_base64(),
        epoch=2,
        issued_ms=1_767_225_600_000,
    ).seal(old)


LINE = tuple(declared(old, new) for old, new in pairwise(ROOTS))


@pytest.mark.parametrize("pinned", range(4))
def test_whichever_root_was_pinned_the_line_leads_to_the_one_in_force(pinned: int) -> None:
    assert follow(IDS[pinned], SITE, LINE) == tuple(IDS[pinned:])


def test_a_stranger_is_led_nowhere() -> None:
    assert (
        follow(SoftwareSigner(ed25519.Ed25519PrivateKey.generate()).public.key_id, SITE, LINE)[1:]
        == ()
    )


@pytest.mark.parametrize(
    "line",
    [
        (LINE[0], LINE[2]),
        (LINE[0], declared(ROOTS[1], ROOTS[0])),
        (declared(ROOTS[0], ROOTS[1], SiteId("elsewhere")),),
        (declared(ROOTS[0], SoftwareSigner(ed25519.Ed25519PrivateKey.generate())),),
    ],
    ids=["a gap", "a circle", "another site", "another kind of key"],
)
def test_a_line_that_does_not_hold_is_refused_whole(line: tuple[Envelope, ...]) -> None:
    with pytest.raises(SignatureRefused):
        follow(IDS[0], SITE, line)


def test_a_line_is_kept_and_read_as_it_was() -> None:
    assert split_line(join_line(LINE)) == LINE
    assert split_line(b"") == ()
    with pytest.raises(WireError):
        split_line(join_line(LINE[:1] * (MAX_SUCCESSIONS + 1)))
    with pytest.raises(WireError):
        split_line(b"x" * (MAX_LINE_BYTES + 1))


@given(noise=st.binary(max_size=300))
def test_noise_is_refused_in_our_own_words(noise: bytes) -> None:
    try:
        line = split_line(noise)
    except WireError:
        return
    assert line == ()
