"""`tapover terminal`, as a command, on a running gateway and broker; and the folders it makes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.ward.site import OPERATOR, SITE, Ward
from contract.enrolment import EnrolmentFile, Issued, Pending
from contract.wire import decode_base64
from provisioning import cli
from provisioning.errors import BadInput
from provisioning.terminals import boot_folder
from provisioning.terminals.lists import read_list
from provisioning.terminals.network import Dot1x, Network, Static
from tests.gateway.enrolling import Device, basic
from tests.provisioning.scenarios import ENROLMENT_FILE

WHOLE = {"user-data", "network-config", "meta-data", "README.txt", "label.svg", "label.png"}


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """Broker and gateway; no terminal, nobody with a card."""
    with Ward(tmp_path_factory.mktemp("w") / "ward", terminals=(), staff=()) as ward:
        yield ward


class Desk:
    """An operator at a shell."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.port = ward.admin_port
        self.said = ""

    def argv(self, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "provisioning", "terminal", *arguments),
            *("--folder", str(self.ward.site.path), "--as", OPERATOR),
            *("--gateway", f"127.0.0.1:{self.port}", "--json"),
        ]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """The command in this process: exit status, stdout, stderr."""
        out, err = io.StringIO(), io.StringIO()
        argv = self.argv(*arguments)[3:]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.run(lambda: cli.app(argv, standalone_mode=False))
        self.said += out.getvalue() + err.getvalue()
        return status, out.getvalue(), err.getvalue()

    def shell(self, *arguments: str) -> tuple[int, str, str]:
        """The command as a process of its own."""
        done = subprocess.run(
            self.argv(*arguments),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout, done.stderr

    def ask(self, *arguments: str) -> dict[str, Any]:
        status, said, why = self.run(*arguments)
        assert status == 0, why
        found: dict[str, Any] = json.loads(said)
        return found

    def refused(self, code: int, *arguments: str) -> str:
        status, said, why = self.run(*arguments)
        assert said == ""
        assert f"[{code}]" in why, why
        assert status in (1, 2, 3)
        return why

    def switch_on(self, folder: Path, *, token: bool = True) -> tuple[Device, httpx.Response]:
        """A device finds `folder` on its boot partition."""
        file = boot_folder.read(folder)
        device = Device(file.terminal, file.token if token else "", SITE)
        return device, self.post(device, file)

    def post(self, device: Device, file: EnrolmentFile) -> httpx.Response:
        ca = self.ward.site.gateway / "operator_ca.crt.pem"
        said = {"Authorization": basic(device.name, device.token)} if device.token else {}
        context = ssl.create_default_context(cafile=str(ca))
        with httpx.Client(verify=context, trust_env=False) as client:
            url = f"{file.enrol_url}/v1/enrolment"
            return client.post(url, content=device.order(), headers=said)

    def made(self, name: str, *more: str) -> Path:
        answer = self.ask("add", name, "--ward", "ed", "--yes", *more)
        return Path(answer["folders"][name])


@pytest.fixture
def desk(ward: Ward) -> Desk:
    return Desk(ward)


def test_a_folder_for_the_boot_partition_makes_a_terminal_of_a_device(desk: Desk) -> None:
    folder = desk.made("bay-1")
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files == WHOLE | {"tapover/enrolment.json"}
    assert all(stat.S_IMODE(p.stat().st_mode) & 0o077 == 0 for p in folder.rglob("*"))
    file = boot_folder.read(folder)
    assert file.root_fingerprint == desk.ward.site.root_fingerprint
    assert (file.broker_port, file.ward) == (desk.ward.broker.port, "ed")
    device, answer = desk.switch_on(folder)
    assert answer.status_code == 200, answer.text
    assert decode_base64(Issued.from_bytes(answer.content).certificate)
    (row,) = [row for row in desk.ask("list")["terminals"] if row["terminal"] == "bay-1"]
    assert (row["ward"], row["state"], row["seen_ms"]) == ("ed", "active", None)
    shown = desk.ask("show", "bay-1")
    assert len(shown["certificates"]) == len(shown["tokens"]) == 1
    assert shown["tokens"][0]["used_ms"] is not None
    assert desk.shell("show", "bay-1") == (0, f"{json.dumps(shown)}\n", "")
    assert file.token not in desk.said
    assert device.token == file.token


def test_the_token_lies_in_one_file_alone(desk: Desk) -> None:
    folder = desk.made("bay-token")
    token = boot_folder.read(folder).token.encode()
    holding = [p.name for p in folder.rglob("*") if p.is_file() and token in p.read_bytes()]
    assert holding == ["enrolment.json"]
    written = [p for p in desk.ward.site.path.rglob("*") if p.is_file() and folder not in p.parents]
    assert not any(token in p.read_bytes() for p in written)
    assert token not in (desk.ward.folder / "gateway.log").read_bytes()
    assert token.decode() not in repr(boot_folder.read(folder))


def test_a_terminal_in_use_is_not_made_again_by_mistake(desk: Desk) -> None:
    first = desk.made("bay-2")
    assert desk.switch_on(first)[1].status_code == 200
    desk.refused(201, "add", "bay-2", "--ward", "ed", "--yes")
    out = str(desk.ward.folder / "again")
    folder = desk.made("bay-2", "--again", "--out", out)
    assert desk.switch_on(folder)[1].status_code == 200
    assert desk.switch_on(first)[1].status_code == 403


def test_a_list_of_terminals_goes_on_where_it_was_cut_off(desk: Desk, tmp_path: Path) -> None:
    names = [f"ward-{n:03}" for n in range(60)]
    listing, out = tmp_path / "list.csv", tmp_path / "out"
    listing.write_text("terminal,ward\n" + "".join(f"{name},ed\n" for name in names))
    argv = desk.argv("add", "--csv", str(listing), "--out", str(out), "--yes")
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        seen = threading.Event()
        end = threading.Timer(30, seen.set)
        end.start()
        while not seen.is_set() and not (out / names[5]).exists():
            seen.wait(0.005)
        end.cancel()
        os.kill(running.pid, signal.SIGKILL)
    whole = {name for name in names if (out / name).exists()}
    assert 5 < len(whole) < len(names)
    answer = desk.ask("add", "--csv", str(listing), "--out", str(out), "--yes")
    assert sorted(answer["folders"]) == names
    assert set(answer["kept"]) == whole
    assert sorted(p.name for p in out.iterdir()) == names
    for name in (names[0], names[-1], max(whole)):
        assert desk.switch_on(out / name)[1].status_code == 200, name


def test_what_a_list_gets_wrong_is_named_by_line_and_nothing_is_made(
    desk: Desk, tmp_path: Path
) -> None:
    listing, out = tmp_path / "list.csv", tmp_path / "out"
    for text, named in {
        "terminal,ward\nbay-1,ed\nBay 2,ed\n": "line 3",
        "terminal,ward\nbay-8,ed\nbay-8,icu\n": "bay-8",
        "name,ward\nbay-8,ed\n": "columns",
        "terminal,ward,vlan\nbay-8,ed,4095\n": "4095",
        "terminal,ward,address,via\nbay-8,ed,10.0.0.2/24,10.1.0.1\n": "line 2",
        "terminal,ward\n": "no terminal",
    }.items():
        listing.write_text(text)
        said = desk.refused(103, "add", "--csv", str(listing), "--out", str(out), "--yes")
        assert named in said
    assert not out.exists()


def test_a_dry_run_writes_nothing_and_a_question_needs_an_answer(
    desk: Desk, tmp_path: Path
) -> None:
    more = ("bay-dry", "--ward", "ed", "--out", str(tmp_path / "out"))
    assert desk.ask("add", *more, "--dry-run") == {"would_make": ["bay-dry"]}
    desk.refused(108, "add", *more)
    assert not (tmp_path / "out").exists()
    desk.refused(202, "show", "bay-dry")


def test_a_terminal_moves_and_retires(desk: Desk) -> None:
    folder = desk.made("bay-3")
    assert desk.switch_on(folder)[1].status_code == 200
    assert desk.ask("move", "bay-3", "--ward", "icu", "--dry-run")["changed"] is False
    moved = desk.ask("move", "bay-3", "--ward", "icu", "--yes")
    assert moved["changed"] is True
    assert desk.ask("show", "bay-3")["ward"] == "icu"
    desk.refused(108, "retire", "bay-3")
    assert desk.ask("retire", "bay-3", "--yes")["changed"] is True
    shown = desk.ask("show", "bay-3")
    assert shown["state"] == "retired"
    assert all(one["revoked_ms"] for one in shown["certificates"])
    desk.refused(202, "retire", "bay-3", "--yes")
    desk.refused(202, "move", "bay-3", "--ward", "ed", "--yes")


def test_eight_letters_are_approved_however_they_are_typed(desk: Desk) -> None:
    folder = desk.made("bay-4")
    device, answer = desk.switch_on(folder, token=False)
    code = Pending.from_bytes(answer.content).code
    assert code == device.code
    assert {"code": code, "terminal": "bay-4", "address": "127.0.0.1"} in desk.ask("approve")[
        "waiting"
    ]
    typed = f"{code[:4]} {code[4:]}".lower()
    desk.refused(108, "approve", typed)
    desk.refused(203, "approve", "AAAAAAAA", "--yes")
    desk.refused(103, "approve", "short", "--yes")
    made = desk.ask("approve", typed, "--yes")
    assert (made["terminal"], made["decided"]) == ("bay-4", "approve")
    assert desk.post(device, boot_folder.read(folder)).status_code == 200
    desk.refused(203, "approve", code, "--yes")


def test_without_a_gateway_no_folder_is_made(desk: Desk, tmp_path: Path) -> None:
    (desk.port,) = desk.ward.ports.take()
    out = tmp_path / "out"
    desk.refused(106, "add", "bay-5", "--ward", "ed", "--yes", "--out", str(out))
    assert not out.exists() or not list(out.iterdir())


def made_of(network: Network) -> dict[str, Any]:
    found = boot_folder.contents(ENROLMENT_FILE, network, "today")
    head, _, data = found["user-data"].partition(b"\n")
    assert head == b"#cloud-config"
    return {
        "user": json.loads(data),
        "network": json.loads(found["network-config"]),
        "meta": json.loads(found["meta-data"]),
        "files": found,
    }


def test_dhcp_is_what_nobody_says_otherwise() -> None:
    made = made_of(Network())
    assert made["network"] == {
        "version": 2,
        "ethernets": {"eth0": {"optional": False, "dhcp4": True}},
    }
    assert made["user"]["hostname"] == made["meta"]["local-hostname"] == "bay-1"
    assert made["user"]["users"] == [{"name": "root", "lock_passwd": True}]
    assert made["user"]["ssh_pwauth"] is False
    assert {"ntp", "timezone"}.isdisjoint(made["user"])


def test_a_fixed_address_behind_a_vlan_with_802_1x_and_the_sites_own_time() -> None:
    dot1x = Dot1x("tls", "bay-1", ca=b"ca", certificate=b"crt", key=b"key")
    static = Static("10.1.2.3/24", "10.1.2.1", ("10.1.0.53",))
    servers = ("ntp.example", "10.1.0.1")
    made = made_of(Network(static, 120, dot1x, servers, "Europe/London"))
    assert made["user"]["timezone"] == "Europe/London"
    assert made["user"]["ntp"] == {"enabled": True, "servers": ["ntp.example", "10.1.0.1"]}
    wire, tagged = made["network"]["ethernets"]["eth0"], made["network"]["vlans"]["vlan120"]
    assert wire["dhcp4"] is False
    assert wire["auth"] == {
        "key-management": "802.1x",
        "method": "tls",
        "identity": "bay-1",
        "ca-certificate": "/boot/firmware/tapover/802.1x-ca.pem",
        "client-certificate": "/boot/firmware/tapover/802.1x.crt.pem",
        "client-key": "/boot/firmware/tapover/802.1x.key.pem",
    }
    assert tagged == {
        "id": 120,
        "link": "eth0",
        "dhcp4": False,
        "addresses": ["10.1.2.3/24"],
        "routes": [{"to": "default", "via": "10.1.2.1"}],
        "nameservers": {"addresses": ["10.1.0.53"]},
    }
    assert made["files"]["tapover/802.1x.key.pem"] == b"key"
    assert "key" not in repr(dot1x)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Network(vlan=0),
        lambda: Network(ntp=("bad host",)),
        lambda: Network(timezone="../etc/passwd"),
        lambda: Network(timezone="Europe/London\nrunc"),
        lambda: Network(Static("10.1.2.3", "10.1.2.1")),
        lambda: Network(Static("10.1.2.3/24", "10.9.2.1")),
        lambda: Network(dot1x=Dot1x("peap", "bay-1", ca=b"ca")),
        lambda: Network(dot1x=Dot1x("peap", "bay-1", "secret")),
        lambda: Network(dot1x=Dot1x("tls", "bay-1", ca=b"ca")),
    ],
)
def test_a_network_that_cannot_be_is_refused(wrong: Callable[[], Network]) -> None:
    with pytest.raises(BadInput):
        wrong()


def test_a_label_says_where_it_belongs_and_nothing_secret() -> None:
    files = boot_folder.contents(ENROLMENT_FILE, Network(), "today")
    svg = ET.fromstring(files["label.svg"])
    said = " ".join(each.text or "" for each in svg.iter() if each.tag.endswith("text"))
    assert "bay-1" in said
    assert "st-elsewhere" in said
    assert files["label.png"].startswith(b"\x89PNG\r\n\x1a\n")
    assert ENROLMENT_FILE.token.encode() not in files["label.svg"]


def test_a_line_of_a_list_may_have_its_own_network() -> None:
    data = b"\xef\xbb\xbfterminal,ward,address,via,dns,vlan\n"
    data += b"bay-1,ed,10.0.0.5/24,10.0.0.1,10.0.0.2 10.0.0.3,7\nbay-2,ed,,,,\n"
    first, second = read_list(data, Network(ntp=("ntp.example",)))
    assert first.network == Network(
        Static("10.0.0.5/24", "10.0.0.1", ("10.0.0.2", "10.0.0.3")), 7, None, ("ntp.example",)
    )
    assert second.network == Network(ntp=("ntp.example",))
