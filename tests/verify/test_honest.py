"""Honest evidence is accepted, in sentences that a privacy officer can use."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

import tapover_verify
from tests.verify.maker import Journal
from tests.verify.signers import P256, Ed25519, Fields, b64, compact, digest
from tests.verify.story import Auditor, honest_ward, open_ward


def test_an_honest_morning_is_proven_and_the_limits_are_said(auditor: Auditor) -> None:
    said = auditor.accepts(honest_ward().site)
    for words in (
        "Site north: the log of 11 statements (tapover.north/log/1) is whole",
        "2 directory changes, one chain, the newest version 1.2",
        "Terminal bay-1: 19 events in 1 journal, complete from the first to the last one delivered",
        "1 tap, 2 PIN proofs, each signed by the cardholder's own card",
        "none before 2026-01-01 00:00:00 UTC",
        '2 bodies deleted under the rule "after 8 years"',
        "Events that a terminal had not yet delivered",
        "That the holder herself held the card",
        "you brought no checkpoint of your own",
    ):
        assert words in said


def test_a_program_gets_the_same_findings_as_json(auditor: Auditor) -> None:
    ward = honest_ward()
    found = json.loads(auditor.accepts(ward.site, "--json"))
    assert found["verdict"] == "proven"
    assert found["size"] == len(ward.site.leaves)
    assert found["terminals"]["bay-1"]["signed"] == {"tap": 1, "pin": 2}
    assert found["terminals"]["bay-1"]["deleted"] == {"after 8 years": 2}
    ward = open_ward()
    ward.terminal.session(ward.vogel)
    ward.terminal.batch()
    verdict = auditor.judge(ward.site, "--json")
    refusal = json.loads(verdict.said)
    assert verdict.exit == 1
    assert refusal["verdict"] == "refused"
    assert refusal["where"].startswith("terminal bay-1, journal ")
    assert refusal["where"].endswith("sequence 1 (leaf 3)")
    assert refusal["means"]


def test_the_auditors_own_checkpoint_is_connected(auditor: Auditor) -> None:
    ward = honest_ward()
    said = auditor.accepts(ward.site, *auditor.note(ward.site.note(8)))
    assert "The log still begins with the 8 statements of your own checkpoint" in said
    assert "3 card signatures under it were made before that" in said
    assert "you brought no checkpoint" not in said


def test_a_log_of_many_tiles_and_two_levels_is_accepted(auditor: Auditor) -> None:
    ward = open_ward()
    for size in (255, 256, 257, 600):
        while len(ward.site.leaves) < size:
            ward.terminal.event("note")
            holds = ward.site.holds() if len(ward.site.leaves) % 50 == 0 else None
            ward.terminal.batch(holds=holds)
        auditor.accepts(ward.site, *auditor.note(ward.site.note(size // 3)))


def test_witnesses_lines_are_passed_over_only_when_the_auditor_says_so(auditor: Auditor) -> None:
    ward = honest_ward()
    honest = ward.site.note()
    witnessed = honest + f"— witness.example {b64(b'hint' + b'w' * 64)}\n".encode()
    export = ward.site.write(auditor.folder / "export")
    (export / "checkpoint").write_bytes(witnessed)
    plain = (str(export), "--root", ward.site.fingerprint)
    refused = auditor.run(*plain)
    assert refused.exit == 1
    assert "signature lines that are not the log's own" in refused.said
    assert auditor.run(*plain, "--allow-witnesses").exit == 0
    (export / "checkpoint").write_bytes(honest)
    assert auditor.run(*plain, *auditor.note(witnessed)).exit == 0


def test_the_gateways_own_journal_is_read_like_any_other(auditor: Auditor) -> None:
    ward = open_ward()
    ward.gateway.event("operator.act", operator="o-1", act="revoke")
    ward.gateway.batch()
    second = Journal(ward.site, "gateway", ward.site.statement, ward.gateway)
    second.batch()
    assert "The gateway's own journal: 3 events in 2 journals" in auditor.accepts(ward.site)


def test_journals_without_a_predecessor_are_pointed_out(auditor: Auditor) -> None:
    ward = open_ward()
    ward.terminal.batch()
    Journal(ward.site, "bay-1", ward.terminal.key).batch()
    assert "2 journals name no predecessor" in auditor.accepts(ward.site)


def test_unknown_fields_and_kinds_are_tolerated(auditor: Auditor) -> None:
    ward = open_ward()
    ward.terminal.event("tap.timing", lies={"later": [1, {"x": None}]}, card_ms=300)
    ward.terminal.batch(later=True)
    ward.site.change(ward.vogel.entitlement() | {"photo": "none"}, later={"a": 1})
    auditor.accepts(ward.site)


@pytest.mark.parametrize(
    "argv",
    [
        ["nowhere", "--root", "0" * 64],
        [".", "--root", "0" * 63],
        [".", "--root", "A" * 64],
        [".", "--root"],
        ["."],
        ["--root", "0" * 64],
        [".", "--proof", "x", "--root", "0" * 64],
        ["--proof", "nowhere", "--root", "0" * 64],
    ],
)
def test_what_cannot_be_read_ends_in_two(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch, argv: list[str]
) -> None:
    monkeypatch.chdir(auditor.folder)
    assert auditor.run(*argv).exit == 2


def test_a_missing_checkpoint_of_the_auditors_ends_in_two(auditor: Auditor, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert auditor.judge(honest_ward().site, "--checkpoint", missing).exit == 2


def test_help_ends_in_zero(auditor: Auditor) -> None:
    verdict = auditor.run("--help")
    assert verdict.exit == 0
    assert "EXPORT_DIR" in verdict.said


# --- A single proof (§9) ---------------------------------------------------------------------


def prove(auditor: Auditor, proof: Fields, root: str) -> tuple[int, str]:
    path = auditor.folder / "proof.json"
    path.write_bytes(compact(proof))
    verdict = auditor.run("--proof", str(path), "--root", root)
    return verdict.exit, verdict.said


def test_a_single_event_is_proven_and_its_limits_are_said(auditor: Auditor) -> None:
    ward = open_ward()
    ward.terminal.tap(ward.vogel)
    leaf = ward.terminal.batch()
    gateways = ward.gateway.batch()
    for more in range(6):
        for event in ward.terminal.events:
            status, said = prove(auditor, ward.site.proof(leaf, event), ward.site.fingerprint)
            assert status == 0, said
            assert "Whose key signed the batch" in said
        ward.site.manifest(more=more)
    own = ward.site.proof(gateways, ward.gateway.events[0])
    status, said = prove(auditor, own, ward.site.fingerprint)
    assert status == 0
    assert "Whose key signed the batch" not in said


def test_a_proof_that_does_not_hold_is_refused(auditor: Auditor) -> None:
    ward = honest_ward()
    leaf, event = 5, ward.terminal.events[1]
    honest = ward.site.proof(leaf, event)
    assert prove(auditor, honest, ward.site.fingerprint)[0] == 0
    path = honest["inclusion"]
    lies: list[Fields] = [
        {"event": b64(ward.terminal.events[12])},
        {"event": b64(event + b" ")},
        {"leaf": 6},
        {"leaf": 11},
        {"leaf": 2**50},
        {"inclusion": path[:-1]},
        {"inclusion": [*path, path[-1]]},
        {"inclusion": [b64(digest()), *path[1:]]},
        {"batch": b64(ward.site.leaves[6])},
        {"keys": b64(open_ward().site.leaves[0])},
        {"checkpoint": ward.site.note(signer=Ed25519()).decode()},
        {"checkpoint": ward.site.note(9).decode()},
    ]
    for lie in lies:
        status, said = prove(auditor, honest | lie, ward.site.fingerprint)
        assert status == 1, lie
        assert said.startswith("REFUSED: ")
    assert prove(auditor, honest, "0" * 64)[0] == 1
    assert prove(auditor, {"type": "something else"}, ward.site.fingerprint)[0] == 2


def test_a_gateways_batch_by_another_key_is_no_proof(auditor: Auditor) -> None:
    ward = open_ward()
    leaf = ward.gateway.batch(signer=P256())
    proof = ward.site.proof(leaf, ward.gateway.events[0])
    assert prove(auditor, proof, ward.site.fingerprint)[0] == 1


def test_any_one_byte_of_a_proof_changed_is_refused(auditor: Auditor) -> None:
    ward = open_ward()
    ward.terminal.batch()
    proof = ward.site.proof(len(ward.site.leaves) - 1, ward.terminal.events[0])
    path, whole = auditor.folder / "proof.json", compact(proof)
    for offset in range(0, len(whole), 3):
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        verdict = auditor.run("--proof", str(path), "--root", ward.site.fingerprint)
        assert verdict.exit in {1, 2}, offset


def test_the_program_is_one_file_that_rests_on_cryptography_alone() -> None:
    tree = ast.parse(Path(tapover_verify.__file__).read_text(encoding="utf-8"))
    imported = {
        (node.module or "" if isinstance(node, ast.ImportFrom) else alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported - sys.stdlib_module_names == {"cryptography"}
