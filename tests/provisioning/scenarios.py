"""What is cut off by power cuts (`cutting`): done, looked at after a cut, done again, looked at."""

from __future__ import annotations

import functools
import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

from contract.enrolment import EnrolmentFile
from contract.ids import Digest, KeyId, OperatorId, SiteId, TerminalId, WardId
from contract.signing import Envelope, Signer, SoftwareSigner
from contract.statements import KeyStatement
from provisioning.errors import RotationCutOff
from provisioning.site import keys, rotate_root
from provisioning.site.folder import SiteFolder, add_operator, init_site
from provisioning.site.making import working_on
from provisioning.site.roots import FileRoot, open_root
from provisioning.site.rotate import Key, Rotation, carry_out, finish, overlapping, plan, plan_end
from provisioning.terminals import boot_folder
from provisioning.terminals.network import Network
from runtime.clock import SystemClock

SITE: Final = SiteId("st-elsewhere")
NOW_MS: Final = SystemClock().wall_ms()
ENROLMENT_FILE: Final = EnrolmentFile(
    site=SITE,
    terminal=TerminalId("bay-1"),
    ward=WardId("ed"),
    root_fingerprint=Digest("f0" * 32),
    enrol_url="https://gateway.example:8445",
    gateway_url="https://gateway.example:8443",
    broker_host="gateway.example",
    broker_port=8883,
    token="A" * 43,
    until_ms=1_767_225_600_000,
)


class Scenario(ABC):
    """Something that must end whole whenever the power goes."""

    @abstractmethod
    def prepare(self, folder: Path) -> None:
        """What was there before."""

    @abstractmethod
    def do(self, folder: Path) -> None:
        """The thing itself: first cut off, then done again."""

    @abstractmethod
    def check_after_cut(self, folder: Path) -> None:
        """Asserts that nothing half made is taken for whole."""

    @abstractmethod
    def check_done(self, folder: Path) -> None:
        """Asserts that all of it is there, and nothing else."""


class Init(Scenario):
    """`tapover site init`."""

    def prepare(self, folder: Path) -> None:
        """Nothing."""

    def do(self, folder: Path) -> None:
        if not (folder / "site").exists():
            init_site(SiteFolder(folder / "site"), SITE, ("127.0.0.1",), None, NOW_MS)

    def check_after_cut(self, folder: Path) -> None:
        if (folder / "site").exists():
            require_whole(SiteFolder(folder / "site"))

    def check_done(self, folder: Path) -> None:
        require_whole(SiteFolder(folder / "site"))
        require_tidy(SiteFolder(folder / "site"))
        assert [path.name for path in folder.iterdir()] == ["site"]


class Rotate(Scenario):
    """`tapover site rotate`, and the end of its overlap."""

    def __init__(self, key: Key, *, end: bool = False) -> None:
        self._key, self._end = key, end

    def prepare(self, folder: Path) -> None:
        site = SiteFolder(folder / "site")
        shutil.copytree(a_site().path, site.path)
        if self._end:
            carry_out(site, plan(site, self._key, lambda: root_of(site), NOW_MS))

    def do(self, folder: Path) -> None:
        site = SiteFolder(folder / "site")
        with working_on(site.path):
            if finish(site) is None:
                carry_out(site, self._plan(site))

    def _plan(self, site: SiteFolder) -> Rotation:
        if self._key is Key.ROOT:
            return rotate_root.plan(site, lambda: root_of(site), FileRoot(None), NOW_MS)
        if self._end:
            return plan_end(site, self._key, NOW_MS)
        return plan(site, self._key, lambda: root_of(site), NOW_MS)

    def check_after_cut(self, folder: Path) -> None:
        """Whole as it was, or cut off and said to be."""
        site = SiteFolder(folder / "site")
        try:
            require_whole(site)
        except RotationCutOff:
            with working_on(site.path):
                assert finish(site) is not None
            self.check_done(folder)
            # Again, as whoever ran it does: now there is nothing to finish, and it is done anew.
            shutil.rmtree(site.path)
            self.prepare(folder)

    def check_done(self, folder: Path) -> None:
        site = SiteFolder(folder / "site")
        statement = require_whole(site)
        require_tidy(site)
        signed_by_root = self._key not in (Key.SERVERS, Key.OPERATORS)
        assert statement.epoch == (2 if signed_by_root else 1)
        overlaps = self._key in (Key.TERMINAL_CA, Key.OPERATOR_CA) and not self._end
        assert overlapping(site) == ([self._key] if overlaps else [])


@functools.cache
def a_site() -> SiteFolder:
    """One with an operator, to be copied."""
    site = SiteFolder(Path(tempfile.mkdtemp()) / "site")
    init_site(site, SITE, ("127.0.0.1",), None, NOW_MS)
    add_operator(site, OperatorId("ines"), NOW_MS)
    return site


def root_of(site: SiteFolder) -> Signer:
    return open_root(site.authority, lambda what: what)


def require_whole(folder: SiteFolder) -> KeyStatement:
    """Asserts that the site's keys are all there and belong together; returns their statement."""
    fingerprint = KeyId(folder.root_fingerprint)  # raises while a rotation is cut off
    envelopes = [part / "keys.dsse" for part in (folder.authority, folder.gateway)]
    envelope, same = (Envelope.from_bytes(path.read_bytes()) for path in envelopes)
    assert envelope == same
    statement = KeyStatement.open_pinned(envelope, fingerprint)
    root = SoftwareSigner(keys.read_p256(folder.authority / "root.key.pem"))
    assert root.public.key_id == fingerprint
    for name, named in {
        "statement": statement.statement_key,
        "log": statement.log.key,
    }.items():
        signer = SoftwareSigner.from_pem((folder.gateway / f"{name}.key.pem").read_bytes())
        assert signer.public.to_base64() == named, name
    for part, name in (
        (folder.gateway, "terminal_ca"),
        (folder.authority, "operator_ca"),
        (folder.authority, "card_ca"),
    ):
        require_pair(part, name)
    for part, name in (
        (folder.gateway, "server"),
        (folder.gateway, "gateway"),
        (folder.broker, "server"),
    ):
        require_pair(part, name)
    return statement


def require_tidy(folder: SiteFolder) -> None:
    """Asserts that nothing unfinished lies about."""
    names = {path.name for path in folder.path.rglob("*")}
    assert [name for name in names if name.startswith((".", "change"))] == []


def require_pair(folder: Path, name: str) -> None:
    """Asserts that a certificate is of the key beside it."""
    certificate = keys.read_certificate(folder / f"{name}.crt.pem")
    key = keys.read_p256(folder / f"{name}.key.pem")
    assert certificate.public_key() == key.public_key(), name


class BootFolder(Scenario):
    """A terminal's folder, of `tapover terminal add`."""

    def prepare(self, folder: Path) -> None:
        """Nothing."""

    def do(self, folder: Path) -> None:
        if not (folder / "bay-1").exists():
            boot_folder.write(folder / "bay-1", ENROLMENT_FILE, Network(), "today")

    def check_after_cut(self, folder: Path) -> None:
        if (folder / "bay-1").exists():
            self._require_whole(folder)

    def check_done(self, folder: Path) -> None:
        self._require_whole(folder)
        assert [path.name for path in folder.iterdir()] == ["bay-1"]

    @staticmethod
    def _require_whole(folder: Path) -> None:
        for name, data in boot_folder.contents(ENROLMENT_FILE, Network(), "today").items():
            assert (folder / "bay-1" / name).read_bytes() == data, name


ALL: Final[dict[str, Scenario]] = {
    "init": Init(),
    "boot-folder": BootFolder(),
    **{f"rotate-{key}": Rotate(key) for key in Key},
    "finish-terminal-ca": Rotate(Key.TERMINAL_CA, end=True),
    "finish-operator-ca": Rotate(Key.OPERATOR_CA, end=True),
}
