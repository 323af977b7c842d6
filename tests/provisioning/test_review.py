"""A second operator signs for what he has seen: it is made from the very bytes that he signs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contract.administration import Findings
from contract.directory import Status, entry_key
from contract.ids import OperatorId, Version
from contract.journal import join_lines
from contract.signing import Envelope
from provisioning.directory import review, sets
from provisioning.directory.administration import Administration, Answer, Gateway, Operator
from provisioning.directory.difference import words_of
from provisioning.directory.mirror import Changed, Mirror
from provisioning.directory.publish import sign_request
from provisioning.errors import GatewayRefused
from provisioning.site.folder import SiteFolder, add_operator, init_site
from tests.provisioning.office import CLOCK, SITE, member


class Said(Administration):
    """A gateway that answers from a table."""

    def __init__(self, site: SiteFolder) -> None:
        ines = OperatorId("ines")
        operator = Operator(ines, site.operator(ines), site.gateway / "operator_ca.crt.pem")
        super().__init__(Gateway(SITE, "127.0.0.1", 1), operator)
        self.table: dict[str, bytes] = {}
        self.subject = ""

    def get(self, path: str) -> Answer:
        if path not in self.table:
            raise GatewayRefused(f"nothing of {path} is here")
        return Answer(200, self.table[path])

    def hold(self, envelope: Envelope, requests: list[bytes]) -> None:
        """Under this digest stand these bytes, whatever they are."""
        findings = Findings(people=2).model_dump(mode="json")
        at = f"/v1/held/{self.subject}"
        self.table[at] = json.dumps({"operator": "ines", "findings": findings}).encode()
        self.table[f"{at}/envelope"] = envelope.to_bytes()
        for place, one in enumerate(requests):
            self.table[f"{at}/requests/{place}"] = one


@pytest.fixture
def site(tmp_path: Path) -> SiteFolder:
    site = SiteFolder(tmp_path / "site")
    init_site(site, SITE, ("127.0.0.1",), None, CLOCK.wall_ms())
    add_operator(site, OperatorId("ines"), CLOCK.wall_ms())
    return site


def request(said: Said, *numbers: int) -> bytes:
    lines = [member(n).to_bytes() for n in numbers]
    return join_lines(sign_request(said.gateway, said.operator, lines, CLOCK.wall_ms()), lines)


@pytest.fixture
def said(site: SiteFolder) -> Said:
    return Said(site)


def test_what_is_shown_is_what_the_digest_names(
    said: Said, site: SiteFolder, tmp_path: Path
) -> None:
    lines = [member(n).to_bytes() for n in range(700)]
    wish = sets.prepare(tmp_path / "wish", said, Version(0, 0), lines, CLOCK.wall_ms())
    assert wish is not None
    whole = [wish.request(place) for place in range(wish.requests)]
    envelope = wish.envelope
    with Mirror.open(site) as mirror:
        said.subject = envelope.digest
        said.hold(envelope, whole)
        held = review.fetch(said, envelope.digest)
        assert (held.requests, held.findings.people) == (2, 2)
        keys = [changed.key[1] for changed in review.changes(said, mirror, held)]
        assert keys == [f"{n + 1:032x}" for n in range(700)]

        harmless = request(said, 1)
        bodies = whole[0].split(b"\n")
        other = join_lines(Envelope.from_bytes(bodies[0]), [member(9).to_bytes(), *bodies[2:]])
        for lie in ([harmless, whole[1]], [whole[1], whole[0]], [other, whole[1]], [b"", b""]):
            said.hold(envelope, lie)
            with pytest.raises(GatewayRefused):
                list(review.changes(said, mirror, review.fetch(said, envelope.digest)))
        said.hold(Envelope.from_bytes(harmless.split(b"\n")[0]), [harmless])
        with pytest.raises(GatewayRefused):
            review.fetch(said, envelope.digest)


def test_the_difference_says_what_changes_and_not_what_it_says_anew() -> None:
    one = member(1)
    salted = one.model_copy(update={"salt": "0" * 32})
    key = entry_key(one)
    assert words_of(Changed(key, one.to_bytes(), salted.to_bytes())) is None
    ended = one.model_copy(update={"status": Status.REVOKED, "not_after_ms": 5})
    words = words_of(Changed(key, one.to_bytes(), ended.to_bytes()))
    assert (
        words == f"~ card {one.guid} of h-1: status: active -> revoked; not_after_ms: {2**50} -> 5"
    )
    assert words_of(Changed(key, one.to_bytes(), None)) == f"- card {one.guid} of h-1: removed"
    fresh = words_of(Changed(key, None, one.to_bytes()))
    assert fresh == f"+ card {one.guid} of h-1: active, nurse [R8001]"
