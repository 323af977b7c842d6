"""The site's folder comes back whole, and the root lets a log go on only from what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from contract.checkpoint import Checkpoint, origin
from contract.ids import Digest, OperatorId, SiteId
from contract.journal import Holds
from contract.restoration import Restoration, Restored
from contract.signing import SoftwareSigner
from gateway import authority
from provisioning.errors import AlreadyThere, BadInput
from provisioning.site import backup, making, restore_log, roots, rotate
from provisioning.site.folder import SiteFolder, add_operator, init_site
from runtime.clock import SystemClock

NOW_MS = SystemClock().wall_ms()
SITE, SECRET = SiteId("st-elsewhere"), b"correct horse"
CAME_BACK = Holds(epoch=1, size=5, root=Digest("0a" * 32))


@pytest.fixture
def site(tmp_path: Path) -> SiteFolder:
    folder = SiteFolder(tmp_path / "site")
    init_site(folder, SITE, ("127.0.0.1",), None, NOW_MS)
    add_operator(folder, OperatorId("ines"), NOW_MS)
    return folder


def backed_up(site: SiteFolder, target: Path) -> Path:
    backup.back_up(site, target, SECRET, lambda: None)
    return target


def restored(**others: object) -> Restored:
    fields: dict[str, object] = {"site": SITE, "log": CAME_BACK}
    fields |= {"directory_epoch": 1, "directory_n": 3, "taken_ms": NOW_MS}
    return Restored.model_validate(fields | others)


def note(site: SiteFolder, size: int, root: bytes = b"\x0b" * 32) -> str:
    """A checkpoint of the site's log, by its own key."""
    log = SoftwareSigner.from_pem((site.gateway / "log.key.pem").read_bytes())
    return Checkpoint(origin(SITE, 1), 1, size, root).sign(log)


def planned(site: SiteFolder, *notes: str, about: Restored | None = None) -> Restoration:
    root = roots.open_root(site.authority, lambda _: "")
    rotation, declared = restore_log.plan(
        site, about or restored(), list(notes), lambda: root, NOW_MS
    )
    making.replace_together(site.path, restore_log.NAME, rotation.files)
    return declared


def test_every_file_comes_back_with_its_rights(site: SiteFolder, tmp_path: Path) -> None:
    file = backed_up(site, tmp_path / "site.backup")
    again = SiteFolder(tmp_path / "again")
    backup.restore(again, file, SECRET)
    for path in backup.files_of(site):
        other = again.path / path.relative_to(site.path)
        assert other.read_bytes() == path.read_bytes()
        assert other.stat().st_mode == path.stat().st_mode
    assert len(backup.files_of(again)) == len(backup.files_of(site))
    assert b"PRIVATE KEY" not in file.read_bytes()


def test_nothing_is_overwritten_by_a_back_up_or_a_restore(site: SiteFolder, tmp_path: Path) -> None:
    file = backed_up(site, tmp_path / "site.backup")
    with pytest.raises(AlreadyThere):
        backed_up(site, file)
    with pytest.raises(AlreadyThere):
        backup.restore(site, file, SECRET)


def test_what_is_not_whole_or_another_passphrases_makes_no_folder(
    site: SiteFolder, tmp_path: Path
) -> None:
    file = backed_up(site, tmp_path / "site.backup")
    again = SiteFolder(tmp_path / "again")
    with pytest.raises(BadInput):
        backup.restore(again, file, b"others")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BadInput):
        backup.restore(again, file, SECRET)
    assert not again.path.exists()


def test_the_root_opens_the_next_log_epoch_and_a_gateway_takes_it(site: SiteFolder) -> None:
    before = rotate.read_statement(site)[1]
    declared = planned(site, note(site, 7), note(site, 9))
    known = authority.load(site.gateway, SITE, Digest(site.root_fingerprint), NOW_MS)
    assert known.restoration is not None
    assert known.restoration[0] == declared
    assert (declared.restored, declared.last.size) == (CAME_BACK, 9)
    assert (known.keys.epoch, known.keys.log.epoch) == (before.epoch + 1, before.log.epoch + 1)
    assert known.keys.log.first == declared.last.root
    assert known.keys.log.key != before.log.key
    assert known.keys.statement_key == before.statement_key


def test_without_a_checkpoint_what_came_back_is_the_last_known(site: SiteFolder) -> None:
    assert planned(site, note(site, 3)).last == CAME_BACK


def test_what_is_no_checkpoint_of_this_log_or_contradicts_it_is_refused(site: SiteFolder) -> None:
    stranger = SoftwareSigner(ed25519.Ed25519PrivateKey.generate())
    foreign = Checkpoint(origin(SITE, 1), 1, 9, b"\x0b" * 32).sign(stranger)
    for wrong in ("", foreign, note(site, CAME_BACK.size)):
        with pytest.raises(BadInput):
            planned(site, wrong)
    for about in (
        restored(site="south"),
        restored(log=CAME_BACK.model_copy(update={"epoch": 2})),
    ):
        with pytest.raises(BadInput):
            planned(site, about=about)
    assert rotate.read_statement(site)[1].epoch == 1
