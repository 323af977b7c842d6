"""A gateway that was given new keys: what it says is believed, and nothing old leads astray."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from contract.certificates import Profile
from contract.checkpoint import open_checkpoint
from contract.directory import DirectoryManifest
from contract.ids import Digest, Version
from contract.signing import Envelope, PayloadType, SignatureRefused, SoftwareSigner
from contract.succession import RootSuccession, join_line
from gateway import authority, founding
from gateway.authority import server_context
from gateway.certificates.issuing import load_issuer
from gateway.directory.snapshot import Snapshots
from gateway.directory.source import NO_VERSION, VersionUnknown
from gateway.evidence.checkpoints import Checkpoints
from gateway.link.publisher import KEYS_MS, Publisher
from runtime.settings import CertificateError
from tests.gateway.conftest import World
from tests.gateway.identities import SITE, Ca, pem, pem_key
from tests.gateway.test_directory import Office, entitlement
from tests.gateway.test_evidence import Stranger
from tests.gateway.test_publisher import Ear


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


def give_new_statement_key(office: Office) -> None:
    """As `tapover site rotate statement` does; then the gateway is started again."""
    identity = office.world.identity
    identity.statement_key = ec.generate_private_key(ec.SECP256R1())
    identity.statement = SoftwareSigner(identity.statement_key)
    (identity.folder / "statement.key.pem").write_bytes(pem_key(identity.statement_key))
    identity.write_keys(identity.key_statement(identity.keys.epoch + 1))
    office.world.reopen()
    office.reopen()


def snapshots_of(office: Office, folder: Path) -> Snapshots:
    world = office.world
    return Snapshots(world.store, world.evidence, world.authority, folder)


def test_the_snapshot_of_an_old_version_is_signed_anew_by_the_new_statement_key(
    office: Office, tmp_path: Path
) -> None:
    office.change(entitlement("aa" * 16))
    before = Envelope.from_bytes(snapshots_of(office, tmp_path / "chunks").manifest(1))
    give_new_statement_key(office)
    snapshots = snapshots_of(office, tmp_path / "chunks")
    after = Envelope.from_bytes(snapshots.manifest(2))
    manifest = DirectoryManifest.open(after, office.world.identity.statement.public)
    assert manifest.version.value == Version(1, 1)
    assert after != before
    assert snapshots_of(office, tmp_path / "chunks").manifest(3) == after.to_bytes()


def test_changes_of_an_earlier_key_epoch_are_had_by_snapshot_alone(office: Office) -> None:
    for guid in ("aa", "bb"):
        office.change(entitlement(guid * 16))
    give_new_statement_key(office)
    office.change(entitlement("cc" * 16))
    for behind in (NO_VERSION, Version(1, 1)):
        with pytest.raises(VersionUnknown, match="earlier key epoch"):
            office.directory.changes_after(behind)
    assert len(office.directory.changes_after(Version(1, 2))) == 1
    assert office.directory.changes_after(Version(2, 1)) == []


def test_checkpoints_go_on_in_the_same_log_under_a_new_log_key(office: Office) -> None:
    world, identity = office.world, office.world.identity
    checkpoints = Checkpoints(world.store, world.evidence.log, world.authority)
    before = checkpoints.advance(1)
    identity.log_key = ed25519.Ed25519PrivateKey.generate()
    identity.log = SoftwareSigner(identity.log_key)
    (identity.folder / "log.key.pem").write_bytes(pem_key(identity.log_key))
    identity.write_keys(identity.key_statement(2))
    world.reopen()
    checkpoints = Checkpoints(world.store, world.evidence.log, world.authority)
    after = checkpoints.advance(2)
    assert after.checkpoint.size > before.checkpoint.size
    assert after.checkpoint.origin == before.checkpoint.origin
    open_checkpoint(after.message.note, SITE, 1, identity.log.public)
    with pytest.raises(SignatureRefused):
        open_checkpoint(before.message.note, SITE, 1, identity.log.public)


async def test_the_keys_are_said_before_all_else_and_again_each_minute(world: World) -> None:
    office = Office(world)
    checkpoints = Checkpoints(world.store, world.evidence.log, world.authority)
    publisher = Publisher(world.clock, world.authority, office.directory, checkpoints)
    ear, keys = Ear(), world.authority.keys_envelope.to_bytes()
    running = asyncio.create_task(publisher.run_keys())
    publisher.attach(ear)
    await ear.wait(lambda heard: len(heard) > 1)
    assert ear.heard[0] == ("tapover/v1/site/keys", keys)
    await world.clock.next_deadline()
    world.clock.advance(KEYS_MS / 1000)
    await ear.wait(lambda _: ear.on("site/keys") == [keys, keys])
    running.cancel()
    await asyncio.wait([running])


def test_while_a_rotation_overlaps_the_ca_before_is_believed_too_and_no_other(
    world: World,
) -> None:
    identity = world.identity
    earlier, old = identity.keys.seal(identity.root), identity.terminal_ca
    identity.terminal_ca = Ca(Profile.TERMINAL_CA)
    client = ec.generate_private_key(ec.SECP256R1())
    certificate = identity.terminal_ca.issue(Profile.GATEWAY_CLIENT, "gateway", client.public_key())
    for name, data in {
        "terminal_ca.crt.pem": pem(identity.terminal_ca.certificate),
        "gateway.key.pem": pem_key(client),
        "gateway.crt.pem": pem(certificate),
        "terminal_ca.before.dsse": earlier.to_bytes(),
    }.items():
        (identity.folder / name).write_bytes(data)
    identity.write_keys(identity.key_statement(2))

    known = authority.load(identity.folder, SITE, identity.fingerprint, world.clock.wall_ms())
    assert known.terminals.before == (old.certificate,)
    assert known.operators.before == ()
    assert len(server_context(known.terminals).get_ca_certs()) == 2
    assert len(server_context(replace(known.terminals, before=())).get_ca_certs()) == 1

    forged = identity.keys.seal(SoftwareSigner(ec.generate_private_key(ec.SECP256R1())))
    for wrong in (forged, identity.keys.seal(identity.root)):
        (identity.folder / "terminal_ca.before.dsse").write_bytes(wrong.to_bytes())
        with pytest.raises(CertificateError, match=r"terminal_ca\.before\.dsse"):
            authority.load(identity.folder, SITE, identity.fingerprint, world.clock.wall_ms())


def give_new_root(world: World) -> SoftwareSigner:
    """As `tapover site rotate root` does; returns the root before."""
    identity = world.identity
    old, new = identity.root, SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))
    declared = RootSuccession(
        site=SITE,
        root=old.public.to_base64(),
        next=new.public.to_base64(),
        epoch=identity.keys.epoch + 1,
        issued_ms=identity.keys.issued_ms,
    ).seal(old)
    with (identity.folder / "roots.dsse").open("ab") as line:
        line.write(join_line([declared]))
    identity.root = new
    identity.write_keys(identity.key_statement(identity.keys.epoch + 1))
    return old


def load(world: World, root: str) -> authority.Authority:
    return authority.load(world.identity.folder, SITE, Digest(root), world.clock.wall_ms())


def test_a_new_root_and_its_keys_become_leaves_in_this_order_and_once(world: World) -> None:
    first = world.identity.fingerprint
    for _ in range(2):
        give_new_root(world)
    for _ in range(2):
        world.authority = load(world, first)
        world.evidence = founding.take_up(world.store, world.authority, first, world.now)
    kinds = [Envelope.from_bytes(leaf).payloadType for leaf in Stranger(world.database).leaves]
    assert [kind for kind in kinds if kind in (PayloadType.KEYS, PayloadType.ROOT)] == [
        *(PayloadType.KEYS, PayloadType.ROOT, PayloadType.ROOT, PayloadType.KEYS)
    ]


def test_settings_may_name_any_root_of_the_line_and_no_other(world: World) -> None:
    first = world.identity.fingerprint
    give_new_root(world)
    for root in (first, world.identity.fingerprint):
        known = load(world, root)
        assert list(map(str, known.roots)) == [first, world.identity.fingerprint]
        founding.take_up(world.store, known, root, world.now)
    stranger = SoftwareSigner(ec.generate_private_key(ec.SECP256R1())).public.key_id
    with pytest.raises(CertificateError, match=r"roots\.dsse"):
        load(world, stranger)


def test_the_root_before_signs_nothing_any_more(world: World) -> None:
    first = world.identity.fingerprint
    old = give_new_root(world)
    keys = world.identity.key_statement(3).model_copy(update={"root": old.public.to_base64()})
    (world.identity.folder / "keys.dsse").write_bytes(keys.seal(old).to_bytes())
    with pytest.raises(CertificateError, match=r"keys\.dsse"):
        load(world, first)


def test_while_a_rotation_overlaps_both_cas_revoke(world: World) -> None:
    identity, old = world.identity, world.identity.terminal_ca
    identity.terminal_ca = Ca(Profile.TERMINAL_CA)
    for name, ca in (("terminal_ca", identity.terminal_ca), ("terminal_ca.before", old)):
        (identity.folder / f"{name}.key.pem").write_bytes(pem_key(ca.key))
    (identity.folder / "terminal_ca.crt.pem").write_bytes(pem(identity.terminal_ca.certificate))
    issuer = load_issuer(identity.folder, SITE, (old.certificate,))
    end = b"-----END X509 CRL-----\n"
    lists = issuer.revocation_list([7, 9], 3, world.clock.wall_ms()).split(end)[:-1]
    for ca, text in zip((identity.terminal_ca, old), lists, strict=True):
        crl = x509.load_pem_x509_crl(text + end)
        assert crl.is_signature_valid(ca.key.public_key())
        assert {each.serial_number for each in crl} == {7, 9}
    with pytest.raises(CertificateError, match="its CA"):
        load_issuer(identity.folder, SITE, (Ca(Profile.TERMINAL_CA).certificate,))
