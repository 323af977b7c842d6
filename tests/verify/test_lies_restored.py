"""A log that goes on from a back-up: only as the root says, and what is missing is said."""

from __future__ import annotations

import pytest

from tests.verify.maker import Site
from tests.verify.signers import P256, Ed25519, Fields, Signer, b64
from tests.verify.story import Auditor, open_ward
from tests.verify.test_lies_roots import succeeded

MISSING = 3


def holds(of: Site, size: int, root: bytes) -> Fields:
    return {"epoch": of.log_epoch, "size": size, "root": root.hex()}


def restored(of: Site, signer: Signer | None = None, **lies: object) -> None:
    """All leaves so far came back; a checkpoint of three more is the last known."""
    size = len(of.leaves)
    last = holds(of, size + MISSING, b"\x0b" * 32)
    payload: Fields = {
        "type": "tapover/restoration/v1",
        "site": of.name,
        "root": b64(of.root.spki),
        "epoch": of.epoch + 1,
        "log_epoch": of.log_epoch + 1,
        "restored": of.holds(size),
        "last": last,
        "issued_ms": of.now_ms,
    }
    of.add("restoration", payload | lies, signer or of.root)
    of.log, of.log_epoch = Ed25519(), of.log_epoch + 1
    first = "0b" * 32
    log: Fields = {"epoch": of.log_epoch, "key": b64(of.log.spki), "first": first}
    of.keys(log=log)


def test_a_log_goes_on_and_what_is_missing_and_came_again_is_said(auditor: Auditor) -> None:
    ward = open_ward()
    size = len(ward.site.leaves)
    beyond = holds(ward.site, size + 2, b"\x0c" * 32)
    restored(ward.site)
    ward.terminal.batch(holds=beyond)
    ward.gateway.batch()
    said = auditor.accepts(ward.site)
    assert f"Log epoch 1 ended with {size} leaves" in said
    last = size + MISSING - 1
    assert f"leaves {size} to {last} that its last known checkpoint had are missing" in said
    assert "1 batch made before came again" in said


def test_it_may_happen_twice_and_the_root_may_have_changed_before(auditor: Auditor) -> None:
    site = open_ward().site
    first = site.fingerprint
    restored(site)
    succeeded(site)
    restored(site)
    verdict = auditor.run(str(site.write(auditor.folder / "export")), "--root", first)
    assert verdict.exit == 0, verdict.said
    assert "Log epoch 2 ended with" in verdict.said


LIES: dict[str, str] = {
    "nobody": "a key statement of another site or log epoch",
    "somebody": "signature",
    "site": "a restoration of another site",
    "epoch": "that its restoration denies",
    "skipped": "a restoration of another site or log epoch",
    "later": "a key statement that its restoration denies",
    "fewer": "does not follow them",
    "root": "other leaves than these",
    "less": "more than was known",
    "more": "more than was known",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_log_that_goes_on_otherwise_than_the_root_said_is_refused(
    auditor: Auditor, lie: str
) -> None:
    site = open_ward().site
    size, wrong = len(site.leaves), b"\x0d" * 32
    match lie:
        case "nobody":
            site.log_epoch += 1
            site.keys()
        case "somebody":
            restored(site, P256())
        case "later":
            restored(site, epoch=site.epoch + 1)
            site.leaves.insert(size + 1, site.leaves[size - 1])
        case "fewer":
            restored(site, restored=site.holds(size - 1))
        case "root":
            restored(site, restored=holds(site, size, wrong))
        case "less":
            restored(site, last=holds(site, size - 1, wrong))
        case "more":
            restored(site, last=holds(site, size, wrong))
        case _:
            told = {"site": "south", "epoch": site.epoch + 2, "log_epoch": site.log_epoch + 2}
            field = {"site": "site", "epoch": "epoch", "skipped": "log_epoch"}[lie]
            restored(site, None, **{field: told[field]})
    if lie == "somebody":
        assert auditor.judge(site).exit == 1
    else:
        auditor.refuses(site, LIES[lie])


def test_what_terminals_held_of_what_came_back_must_be_it(auditor: Auditor) -> None:
    ward = open_ward()
    wrong = holds(ward.site, len(ward.site.leaves) - 1, b"\x0c" * 32)
    restored(ward.site)
    ward.terminal.batch(holds=wrong)
    auditor.refuses(ward.site, "a batch that holds another root")


def test_a_checkpoint_from_before_is_held_against_what_came_back(auditor: Auditor) -> None:
    ward = open_ward()
    size, note = len(ward.site.leaves), ward.site.note()
    restored(ward.site)
    ward.terminal.batch()
    said = auditor.accepts(ward.site, *auditor.note(note))
    assert f"still begins with the {size} statements" in said


def test_a_checkpoint_of_lost_leaves_is_said_to_cover_a_declared_loss(auditor: Auditor) -> None:
    site = open_ward().site
    kept = len(site.leaves)
    for _ in range(MISSING + 1):
        site.add("enrolment", {"type": "tapover/enrolment/v1", "terminal": "bay-1"}, P256())
    some, all_of_it = site.note(kept + 1), site.note()
    last = site.note(kept + MISSING)
    del site.leaves[kept:]
    restored(site)
    said = auditor.accepts(site, *auditor.note(some))
    assert "covers a declared loss" in said
    assert "more is missing" not in said
    assert "more is missing than was declared" in auditor.accepts(site, *auditor.note(all_of_it))
    auditor.refuses(site, "another root than the last known", *auditor.note(last))
