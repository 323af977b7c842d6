"""What whoever keeps the log cannot do: drop, reorder, fork, backdate or rewrite unseen."""

from __future__ import annotations

import secrets

import pytest

from tests.verify.maker import Journal
from tests.verify.signers import P256, Ed25519, Fields, digest
from tests.verify.story import Auditor, Ward, honest_ward, open_ward


@pytest.fixture
def ward() -> Ward:
    return open_ward()


def three_batches(ward: Ward) -> list[int]:
    ward.terminal.hold()
    leaves = []
    for card in (ward.vogel, ward.ngata, ward.vogel):
        ward.terminal.tap(card)
        leaves.append(ward.terminal.batch(holds=None))
    return leaves


def test_batches_in_another_order_are_refused(auditor: Auditor, ward: Ward) -> None:
    _, second, third = three_batches(ward)
    leaves = ward.site.leaves
    auditor.accepts(ward.site)
    leaves[second], leaves[third] = leaves[third], leaves[second]
    auditor.refuses(ward.site, "comes next")


@pytest.mark.parametrize("which", [0, 1])
def test_a_batch_left_out_is_refused(auditor: Auditor, ward: Ward, which: int) -> None:
    del ward.site.leaves[three_batches(ward)[which]]
    auditor.refuses(ward.site, "comes next")


def test_a_batch_told_twice_is_refused(auditor: Auditor, ward: Ward) -> None:
    ward.site.leaves.append(ward.site.leaves[three_batches(ward)[2]])
    auditor.refuses(ward.site, "comes next")


def test_an_event_dropped_within_a_batch_is_refused(auditor: Auditor, ward: Ward) -> None:
    three_batches(ward)
    terminal = ward.terminal
    start = len(terminal.events)
    terminal.tap(ward.ngata)
    terminal.cut = start + 1
    terminal.batch(first=start)
    auditor.refuses(ward.site, "does not continue the chain")


def test_a_forked_chain_is_refused(auditor: Auditor, ward: Ward) -> None:
    three_batches(ward)
    ward.terminal.event("note")
    ward.terminal.batch(previous=secrets.token_hex(32))
    auditor.refuses(ward.site, "does not continue the chain")


def test_a_history_told_anew_does_not_fit_what_stands(auditor: Auditor, ward: Ward) -> None:
    three_batches(ward)
    retold = Journal(ward.site, "bay-1", ward.terminal.key)
    retold.id = ward.terminal.id
    retold.batch()
    auditor.refuses(ward.site, "a batch from 0")


def test_a_batch_by_a_key_that_is_no_terminals_is_refused(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.batch(signer=P256())
    auditor.refuses(ward.site, "a key that was not the terminal's")


def test_a_batch_by_another_terminals_key_is_refused(auditor: Auditor, ward: Ward) -> None:
    other = Journal(ward.site, "bay-2", P256())
    ward.site.change(other.entry())
    ward.terminal.batch(signer=other.key)
    auditor.refuses(ward.site, "a key that was not the terminal's")


def test_a_terminal_enrolled_later_cannot_have_signed_before(auditor: Auditor, ward: Ward) -> None:
    other = Journal(ward.site, "bay-2", P256())
    other.batch()
    ward.site.change(other.entry())
    auditor.refuses(ward.site, "a key that was not the terminal's")


def test_a_retired_terminal_and_an_old_key_still_prove_what_they_sent(
    auditor: Auditor, ward: Ward
) -> None:
    old = ward.terminal.key
    ward.terminal.key = P256()
    ward.site.change(ward.terminal.entry())
    ward.site.change(ward.terminal.entry("retired"))
    ward.terminal.batch(signer=old)
    auditor.accepts(ward.site)


def test_a_journal_belongs_to_one_terminal(auditor: Auditor, ward: Ward) -> None:
    other = Journal(ward.site, "bay-2", P256())
    ward.site.change(other.entry())
    ward.terminal.batch()
    ward.terminal.event("note", lies={"terminal": "bay-2"})
    ward.terminal.batch(signer=other.key, terminal="bay-2")
    auditor.refuses(ward.site, "another terminal's journal")


def test_the_gateways_journal_is_signed_by_the_statement_key_alone(
    auditor: Auditor, ward: Ward
) -> None:
    ward.site.change(Journal(ward.site, "gateway", ward.terminal.key).entry())
    ward.gateway.batch(signer=ward.terminal.key)
    auditor.refuses(ward.site, "names another key than the terminal's batch key")


def test_a_terminal_that_was_shown_another_log_gives_it_away(auditor: Auditor, ward: Ward) -> None:
    holds = ward.site.holds() | {"root": secrets.token_hex(32)}
    ward.terminal.batch(holds=holds)
    auditor.refuses(ward.site, "a batch that holds another root for the first 3 leaves")


def test_a_terminal_cannot_hold_a_checkpoint_from_the_future(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.batch(holds=ward.site.holds() | {"size": 4})
    auditor.refuses(ward.site, "a batch that holds a checkpoint of 4 leaves from later")


def test_a_checkpoint_of_an_earlier_log_epoch_is_said_to_be_unproven(auditor: Auditor) -> None:
    ward = open_ward()
    ward.terminal.batch(holds={"epoch": 0, "size": 9000, "root": secrets.token_hex(32)})
    assert "1 checkpoint of an earlier log epoch" in auditor.accepts(ward.site)


def test_a_log_rewritten_since_the_auditors_own_checkpoint_is_refused(auditor: Auditor) -> None:
    ward = honest_ward()
    for size in range(1, len(ward.site.leaves) + 1):
        said = auditor.accepts(ward.site, *auditor.note(ward.site.note(size)))
        assert f"begins with the {size} statement" in said
    own = auditor.note(ward.site.note(8))
    enrolment = 4
    ward.site.leaves[enrolment] = ward.site.leaves[enrolment - 2]
    for words in ("another root for the first 8 leaves",):
        auditor.refuses(ward.site, words, *own)


def test_a_log_cut_shorter_than_the_auditors_own_checkpoint_is_refused(auditor: Auditor) -> None:
    ward = honest_ward()
    own = auditor.note(ward.site.note())
    ward.site.leaves.pop()
    auditor.refuses(ward.site, "11 leaves, of which the export has 10", *own)


def test_a_checkpoint_by_another_log_key_is_refused(auditor: Auditor) -> None:
    ward = honest_ward()
    own = auditor.note(ward.site.note(signer=Ed25519()))
    auditor.refuses(ward.site, "whose signature by the log's key fails", *own)
    ward.site.log = Ed25519()
    auditor.refuses(ward.site, "whose signature by the log's key fails")


def test_another_sites_evidence_is_refused(auditor: Auditor) -> None:
    export = honest_ward().site.write(auditor.folder / "export")
    verdict = auditor.run(str(export), "--root", honest_ward().site.fingerprint)
    assert verdict.exit == 1
    assert "not the one that you named" in verdict.said


def test_a_key_statement_by_anybody_but_the_root_is_refused(auditor: Auditor) -> None:
    ward = open_ward()
    ward.site.keys(signer=ward.site.statement)
    auditor.refuses(ward.site, "names another key than the site's root")


@pytest.mark.parametrize(
    "lie",
    [{"epoch": 1}, {"site": "south"}, {"log": {"epoch": 2, "key": "", "first": None}}],
    ids=lambda lie: next(iter(lie)),
)
def test_a_later_key_statement_goes_on_from_the_one_before(auditor: Auditor, lie: Fields) -> None:
    ward = open_ward()
    ward.site.keys(**lie)
    assert auditor.judge(ward.site).exit == 1


def test_new_keys_serve_after_their_statement_and_old_ones_no_more(auditor: Auditor) -> None:
    ward = open_ward()
    old, held = ward.site.statement, ward.site.heartbeat()
    ward.site.statement = ward.gateway.key = P256()
    ward.site.log = Ed25519()
    ward.site.keys()
    ward.terminal.hold(held)
    ward.terminal.batch()
    ward.gateway.batch()
    ward.site.change(ward.vogel.entitlement())
    auditor.accepts(ward.site)
    ward.site.change(ward.vogel.entitlement(), signer=old)
    auditor.refuses(ward.site, "names another key than the site's statement key")


def test_a_log_that_does_not_begin_with_its_keys_is_refused(auditor: Auditor) -> None:
    ward = open_ward()
    ward.site.leaves.reverse()
    assert auditor.judge(ward.site).exit == 1


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ({"version": {"epoch": 1, "n": 3}}, "that does not follow"),
        ({"version": {"epoch": 1, "n": 1}}, "that does not follow"),
        ({"version": {"epoch": 2, "n": 2}}, "that does not follow"),
        ({"previous": None}, "that does not follow"),
        ({"previous": "00" * 32}, "that does not follow"),
        ({"request": "00" * 32}, "whose request is no earlier leaf"),
        ({"site": "south"}, "a directory change of another site"),
        ({"entries": ["00" * 32]}, "a directory entry whose body is not in the export"),
    ],
)
def test_directory_changes_are_one_chain(
    auditor: Auditor, ward: Ward, lie: Fields, words: str
) -> None:
    ward.site.change(**lie)
    auditor.refuses(ward.site, words)


def test_a_new_key_epoch_starts_the_versions_anew(auditor: Auditor, ward: Ward) -> None:
    ward.site.change(version={"epoch": 2, "n": 1})
    auditor.accepts(ward.site)


def test_a_directory_change_left_out_is_refused(auditor: Auditor, ward: Ward) -> None:
    ward.site.change()
    del ward.site.leaves[2]
    auditor.refuses(ward.site, "that does not follow")


def test_a_directory_change_by_a_terminal_is_refused(auditor: Auditor, ward: Ward) -> None:
    ward.site.change(signer=ward.terminal.key)
    auditor.refuses(ward.site, "names another key than the site's statement key")


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ({"head": "00" * 32}, "a manifest with another head for version 1.1"),
        ({"version": {"epoch": 1, "n": 2}}, "which no earlier leaf made"),
    ],
)
def test_a_manifest_is_of_a_version_in_the_log(
    auditor: Auditor, ward: Ward, lie: Fields, words: str
) -> None:
    ward.site.manifest(**lie)
    auditor.refuses(ward.site, words)


@pytest.mark.parametrize("kind", ["receipt", "heartbeat", "mystery"])
def test_a_statement_that_is_never_a_leaf_is_refused(
    auditor: Auditor, ward: Ward, kind: str
) -> None:
    ward.site.add(kind, {"type": f"tapover/{kind}/v1"}, ward.site.statement)
    auditor.refuses(ward.site, "which does not belong here")


def test_a_statement_under_another_types_name_is_refused(auditor: Auditor, ward: Ward) -> None:
    ward.site.add("enrolment", {"type": "tapover/batch/v1"}, P256())
    auditor.refuses(ward.site, "whose payload says another type")


def test_bodies_missing_without_a_deletion_event_are_refused(auditor: Auditor, ward: Ward) -> None:
    three_batches(ward)
    del ward.site.bodies[digest(ward.terminal.events[2])]
    auditor.refuses(ward.site, "no deletion event accounts for it")


@pytest.mark.parametrize(
    ("first", "count"), [(0, 99), (99, 1), (2, 0)], ids=["too many", "none such", "empty"]
)
def test_only_events_that_the_log_held_can_be_deleted(
    auditor: Auditor, ward: Ward, first: int, count: int
) -> None:
    three_batches(ward)
    ward.gateway.delete(ward.terminal, first, count)
    ward.gateway.batch()
    auditor.refuses(ward.site, "a deletion of events that the log did not hold before")


def test_a_deletion_announced_before_the_events_is_refused(auditor: Auditor, ward: Ward) -> None:
    ward.gateway.delete(ward.terminal, 0, 1)
    ward.gateway.batch()
    ward.terminal.batch()
    auditor.refuses(ward.site, "a deletion of events that the log did not hold before")


def test_a_terminal_cannot_declare_bodies_deleted(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.delete(ward.terminal, 0, 1)
    ward.terminal.batch()
    ward.site.bodies.update({digest(event): event for event in ward.terminal.events})
    auditor.refuses(ward.site, "bodies.deleted outside the gateway's own journal")


def test_a_body_declared_deleted_and_still_there_is_refused(auditor: Auditor, ward: Ward) -> None:
    three_batches(ward)
    ward.gateway.event("bodies.deleted", rule="r", journal=ward.terminal.id, first=1, count=2)
    ward.gateway.batch()
    auditor.refuses(ward.site, "it did not")


def test_what_a_deletion_leaves_unproven_is_said(auditor: Auditor, ward: Ward) -> None:
    three_batches(ward)  # 0 opened, 1 heartbeat, then record, outcome, session for each tap
    ward.gateway.delete(ward.terminal, 1, 1, "heartbeats")
    ward.gateway.delete(ward.terminal, 2, 1, "records")
    ward.gateway.delete(ward.terminal, 6, 1, "outcomes")
    ward.gateway.batch()
    said = auditor.accepts(ward.site)
    for rule in ("heartbeats", "records", "outcomes"):
        assert f'1 body deleted under the rule "{rule}"' in said
    assert "1 claim whose record was deleted" in said
    assert "1 claim to have signed on in a body that was deleted" in said
    assert "1 claim whose heartbeat was deleted" in said


def test_one_deleted_body_excuses_one_session_and_no_more(auditor: Auditor, ward: Ward) -> None:
    three_batches(ward)
    ward.gateway.delete(ward.terminal, 6, 1)
    ward.gateway.batch()
    auditor.accepts(ward.site)
    ward.terminal.session(ward.vogel)
    ward.terminal.batch()
    auditor.refuses(ward.site, "a session opened without a card outcome")


def test_a_new_journal_names_the_head_of_the_one_before(auditor: Auditor, ward: Ward) -> None:
    three_batches(ward)
    ward.terminal.chain[-1] = digest(b"another head")
    Journal(ward.site, "bay-1", ward.terminal.key, ward.terminal).batch()
    auditor.refuses(ward.site, "a journal whose predecessor had another head")


def test_a_new_journal_continues_its_own_terminals(auditor: Auditor, ward: Ward) -> None:
    ward.gateway.batch()
    Journal(ward.site, "bay-1", ward.terminal.key, ward.gateway).batch()
    auditor.refuses(ward.site, "another terminal's as its predecessor")


def test_a_tail_that_was_never_delivered_is_said_to_be_a_gap(auditor: Auditor, ward: Ward) -> None:
    three_batches(ward)
    ward.terminal.event("note")
    ward.terminal.event("note")
    Journal(ward.site, "bay-1", ward.terminal.key, ward.terminal).batch()
    said = auditor.accepts(ward.site)
    assert f"journal {ward.terminal.id} had at least 13 events" in said
    assert "2 were never delivered" in said


def test_a_journal_begins_with_its_opening_and_has_but_one(auditor: Auditor, ward: Ward) -> None:
    ward.terminal.event("journal.opened", software="x", previous_journal=None)
    ward.terminal.batch()
    auditor.refuses(ward.site, "does not begin with journal.opened, or has a second one")
