"""Devices whose papers are older than the site's keys: they enrol, and they renew in time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from contract.certificates import Profile
from contract.enrolment import EnrolmentFile
from contract.ids import Digest, KeyId
from contract.signing import Envelope, SoftwareSigner
from contract.succession import RootSuccession, join_line
from firmware_py.enrolment.progress import Need
from firmware_py.settings import Settings
from firmware_py.site.identity import OPERATOR_CA, open_keys, roots_of
from firmware_py.site.place import (
    CERTIFICATE,
    KEYS,
    is_enrolled,
    is_issued_by,
    placed,
    read_certificate,
)
from firmware_py.site.renewing import Known, Renewing
from runtime.clock import SystemClock
from tests.firmware.test_enrolment import booting, paper
from tests.gateway.enrolling import Device, Enrolling, made_enrolling, now_ms
from tests.gateway.identities import SITE, Ca, pem, pem_key


@dataclass
class Replaced:
    """A site that is at its third root."""

    site: Enrolling
    roots: list[KeyId]

    def file(self, device: Device, pinned: KeyId) -> EnrolmentFile:
        return paper(self.site, device, root_fingerprint=Digest(pinned))


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replaced]:
    with made_enrolling(tmp_path_factory.mktemp("roots")) as site:
        identity = site.box.identity
        roots = [identity.root.public.key_id]
        roots += [give_new_root(site) for _ in range(2)]
        site.box.gateway.stop()
        site.box.start()
        yield Replaced(site, roots)


def give_new_root(site: Enrolling) -> KeyId:
    """As `tapover site rotate root` does; the gateway is to be started again."""
    identity = site.box.identity
    old, identity.root = identity.root, SoftwareSigner(ec.generate_private_key(ec.SECP256R1()))
    declared = RootSuccession(
        site=SITE,
        root=old.public.to_base64(),
        next=identity.root.public.to_base64(),
        epoch=identity.keys.epoch + 1,
        issued_ms=identity.keys.issued_ms,
    ).seal(old)
    with (identity.folder / "roots.dsse").open("ab") as line:
        line.write(join_line([declared]))
    identity.write_keys(identity.key_statement(identity.keys.epoch + 1))
    return identity.root.public.key_id


def settings_in(folder: Path) -> Settings:
    """The daemon's, once `folder` is enrolled."""
    return placed(
        Settings(
            state_dir=folder / "state",
            identity_dir=folder / "identity",
            enrolment_file=folder / "enrolment.json",
        )
    )


@pytest.mark.parametrize("age", [2, 1, 0])
async def test_a_file_that_pins_an_earlier_root_enrols_under_the_one_in_force(
    replaced: Replaced, tmp_path: Path, age: int
) -> None:
    (device,) = replaced.site.grant(f"bay-older-{age}")
    pinned = replaced.roots[-1 - age]
    async with booting(tmp_path, replaced.file(device, pinned)) as (_, task):
        async with asyncio.timeout(20):
            await task
    identity = tmp_path / "identity"
    assert is_enrolled(identity)
    # And what it keeps is what the daemon starts by.
    settings = settings_in(tmp_path)
    roots = roots_of(settings, None)
    assert roots == tuple(replaced.roots[-1 - age :])
    held = open_keys(settings, roots, (identity / KEYS).read_bytes())
    assert held is not None
    assert held.epoch == replaced.site.box.identity.keys.epoch


async def test_a_root_that_no_declaration_leads_from_hears_nothing_secret(
    replaced: Replaced, tmp_path: Path
) -> None:
    (device,) = replaced.site.grant("bay-stranger")
    stranger = SoftwareSigner(ec.generate_private_key(ec.SECP256R1())).public.key_id
    async with booting(tmp_path, replaced.file(device, stranger)) as (glass, _):
        await glass.until(Need.GATEWAY, "not the site")
    assert replaced.site.kept(device.name)["tokens"][0]["used_ms"] is None
    assert not list((tmp_path / "identity").glob("*.dsse"))


def give_new_terminal_ca(site: Enrolling) -> None:
    """As `tapover site rotate terminal-ca` does; the one before is believed beside it."""
    identity = site.box.identity
    earlier, old = identity.keys.seal(identity.root), identity.terminal_ca
    identity.terminal_ca = Ca(Profile.TERMINAL_CA, old.valid_from)
    client = ec.generate_private_key(ec.SECP256R1())
    certificate = identity.terminal_ca.issue(Profile.GATEWAY_CLIENT, "gateway", client.public_key())
    for name, data in {
        "terminal_ca.crt.pem": pem(identity.terminal_ca.certificate),
        "terminal_ca.key.pem": pem_key(identity.terminal_ca.key),
        "gateway.key.pem": pem_key(client),
        "gateway.crt.pem": pem(certificate),
        "terminal_ca.before.dsse": earlier.to_bytes(),
        "terminal_ca.before.key.pem": pem_key(old.key),
    }.items():
        (identity.folder / name).write_bytes(data)
    identity.write_keys(identity.key_statement(identity.keys.epoch + 1))


@dataclass
class Held:
    """What the daemon would tell of the newest key statement."""

    site: Enrolling

    def __call__(self) -> Known:
        return Known(
            now_ms(), clock_tells=True, terminal_ca=self.site.box.identity.keys.terminal_ca
        )


async def test_a_terminal_renews_as_soon_as_its_keys_name_another_terminal_ca(
    replaced: Replaced, tmp_path: Path
) -> None:
    site = replaced.site
    (device,) = site.grant("bay-renews")
    async with booting(tmp_path, replaced.file(device, replaced.roots[-1])) as (_, task):
        async with asyncio.timeout(20):
            await task
    file = tmp_path / "identity" / CERTIFICATE
    old, before = read_certificate(file), site.box.identity.terminal_ca.certificate
    settings = settings_in(tmp_path)
    settings.state_dir.mkdir()
    (settings.state_dir / OPERATOR_CA).write_bytes(site.ca_file.read_bytes())
    give_new_terminal_ca(site)
    site.box.gateway.stop()
    site.box.start()
    swapped = asyncio.Event()

    async def swap() -> None:
        swapped.set()

    renewing = Renewing(
        *(settings, Held(site), swap, lambda _: None, SystemClock(), random.Random()), spread_s=0
    )
    task = asyncio.create_task(renewing.run())
    async with asyncio.timeout(20):
        await swapped.wait()
    task.cancel()
    await asyncio.wait({task})
    new, now = read_certificate(file), site.box.identity.terminal_ca.certificate
    assert is_issued_by(old, before)
    assert not is_issued_by(old, now)
    assert is_issued_by(new, now)


def test_strangers_are_told_how_the_roots_followed_one_another(replaced: Replaced) -> None:
    with replaced.site.strangers() as client:
        line = client.get("/v1/roots").content
    kept = (replaced.site.box.identity.folder / "roots.dsse").read_bytes()
    assert line == kept
    assert [Envelope.from_bytes(one).key_id for one in line.splitlines()] == replaced.roots[:-1]
