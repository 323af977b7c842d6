"""A back-up of a running gateway, and how little a restored one does by itself."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from contract.ids import Digest
from contract.journal import Holds
from contract.restoration import Restoration, Restored
from gateway import backing_up, founding
from gateway.directory.requests import RequestRefused
from gateway.settings import GatewaySettings
from runtime.settings import CertificateError, SettingsError, StartError
from tests.gateway.conftest import World
from tests.gateway.requests import request
from tests.gateway.test_directory import Office, entitlement

SECRET = b"correct horse"


def hush(_: str) -> None:
    """Nobody reads the progress."""


def settings_of(world: World, state: Path, **more: object) -> GatewaySettings:
    known = world.identity
    made = GatewaySettings(
        site=known.keys.site,
        root_fingerprint=known.fingerprint,
        state_dir=state,
        identity_dir=known.folder,
        broker_host="127.0.0.1",
        broker_port=1,
        https_port=2,
        admin_port=3,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def is_unsettled(office: Office) -> bool:
    return office.directory.unsettled


@pytest.fixture
def backed_up(world: World, tmp_path: Path) -> Path:
    """Two versions of the directory, a back-up, and one version more."""
    office = Office(world)
    for guid in ("aa", "bb"):
        office.change(entitlement(guid * 16))
    target = tmp_path / "gateway.backup"
    backing_up.back_up(settings_of(world, tmp_path), target, SECRET, 5, hush)
    office.change(entitlement("cc" * 16))
    return target


def lay_down(world: World, backed_up: Path, state: Path) -> Restored:
    """The gateway's machine is lost; what came back is what the world is opened on from now on."""
    world.close()
    about = backing_up.restore(settings_of(world, state), backed_up, SECRET, hush)
    world.database = state / "gateway.sqlite"
    return about


def declare(world: World, about: Restored, **lies: object) -> None:
    """As `tapover site restore-log` does."""
    identity = world.identity
    fields: dict[str, object] = {
        "site": identity.keys.site,
        "root": identity.root.public.to_base64(),
        "epoch": 2,
        "log_epoch": 2,
        "restored": about.log,
        "last": Holds(epoch=1, size=about.log.size + 3, root=Digest("0b" * 32)),
        "issued_ms": 5,
    }
    declared = Restoration.model_validate(fields | lies).seal(identity.root)
    (identity.folder / "restoration.dsse").write_bytes(declared.to_bytes())
    log = identity.keys.log.model_copy(update={"epoch": 2, "first": Digest("0b" * 32)})
    named = identity.key_statement(2).model_copy(update={"log": log})
    identity.write_keys(named)


def test_a_back_up_is_of_one_moment_and_says_which(world: World, backed_up: Path) -> None:
    about = lay_down(world, backed_up, world.folder / "state")
    assert (about.directory_epoch, about.directory_n) == (1, 2)
    with closing(sqlite3.connect(world.database)) as connection:
        ((leaves,),) = connection.execute("SELECT count(*) FROM leaves").fetchall()
    assert about.log.size == leaves
    assert Restored.from_bytes((world.folder / "state" / "restored.json").read_bytes()) == about
    assert b"PRIVATE KEY" not in backed_up.read_bytes()
    assert backed_up.stat().st_mode & 0o077 == 0


def test_an_empty_machine_gets_the_identity_too(world: World, backed_up: Path) -> None:
    kept = world.folder / "identity-kept"
    shutil.move(world.identity.folder, kept)
    lay_down(world, backed_up, world.folder / "state")
    for path in kept.iterdir():
        assert (world.identity.folder / path.name).read_bytes() == path.read_bytes()


def test_nothing_is_ever_laid_down_over_a_log(world: World, backed_up: Path) -> None:
    before = world.database.read_bytes()
    with pytest.raises(StartError, match="ever restored over"):
        backing_up.restore(settings_of(world, world.folder), backed_up, SECRET, hush)
    assert world.database.read_bytes() == before


@pytest.mark.parametrize("wrong", ["passphrase", "cut off", "altered", "site"])
def test_what_is_not_whole_or_not_ours_lays_nothing_down(
    world: World, backed_up: Path, wrong: str
) -> None:
    data, secret, site = backed_up.read_bytes(), SECRET, world.identity.keys.site
    match wrong:
        case "passphrase":
            secret = b"others"
        case "cut off":
            backed_up.write_bytes(data[:-1])
        case "altered":
            backed_up.write_bytes(data[:-50] + bytes([data[-50] ^ 1]) + data[-49:])
        case _:
            site = type(site)("south")
    state = world.folder / "state"
    with pytest.raises(StartError):
        backing_up.restore(settings_of(world, state, site=site), backed_up, secret, hush)
    assert not [path for path in state.iterdir() if path.name != "lock"]


def test_a_restored_log_is_not_gone_on_with_until_the_root_says_where(
    world: World, backed_up: Path
) -> None:
    about = lay_down(world, backed_up, world.folder / "state")
    with pytest.raises(CertificateError, match="site restore-log"):
        world.reopen()
    declare(world, about, restored=about.log.model_copy(update={"size": about.log.size - 1}))
    with pytest.raises(CertificateError, match="not what is in the database"):
        world.reopen()
    declare(world, about)
    world.reopen()
    restored, size = world.authority.restoration, about.log.size
    assert restored is not None
    with world.store.read() as tx:
        assert tx.log.leaf(size) == restored[1].to_bytes()
        assert tx.log.leaf(size + 1) == world.authority.keys_envelope.to_bytes()
    world.reopen()  # and from then on like any other
    with world.store.read() as tx:
        assert founding.RESTORED not in tx.facts.all()


def test_a_log_that_was_not_laid_down_takes_no_restoration(world: World) -> None:
    edge = world.evidence.log.edge()
    log = Holds(epoch=1, size=edge.size, root=Digest(edge.root().hex()))
    declare(
        world,
        Restored(
            site=world.identity.keys.site, log=log, directory_epoch=1, directory_n=0, taken_ms=5
        ),
    )
    with pytest.raises(CertificateError, match="not what is in the database"):
        world.reopen()


def test_the_first_change_of_a_restored_directory_brings_back_what_was_lost(
    world: World, backed_up: Path
) -> None:
    declare(world, lay_down(world, backed_up, world.folder / "state"))
    world.reopen()
    office = Office(world)
    assert is_unsettled(office)
    with pytest.raises(RequestRefused, match="directory recover"):
        office.change(entitlement("dd" * 16))
    message = request([entitlement("cc" * 16)], office.signer)
    office.directory.apply(message, office.operator, world.now, recovers=True)
    assert not is_unsettled(office)
    assert str(office.directory.head.version) == "2.1"
    office.change(entitlement("dd" * 16))


def test_the_passphrase_comes_by_file_or_descriptor_and_is_not_empty(tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.write_text("of the back-up\nand not this\n")
    assert backing_up.passphrase(file, None) == b"of the back-up"
    with file.open() as opened:
        assert backing_up.passphrase(None, opened.fileno()) == b"of the back-up"
    file.write_text("\n")
    for wrong in ((file, None), (None, None), (file, 0), (tmp_path / "none", None)):
        with pytest.raises(SettingsError):
            backing_up.passphrase(*wrong)
