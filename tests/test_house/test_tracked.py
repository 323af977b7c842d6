"""What must not be in the repository: registry hosts, somebody's own paths, keys."""

import json
import re
from pathlib import PurePosixPath
from typing import Final

import pytest

from tests.test_house.tree import ROOT, short, tracked_texts

# Written so that this file does not hold what it looks for.
HOSTS: Final = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry.npm" + "js.org",
    "deb.deb" + "ian.org",
    "proxy.go" + "lang.org",
]
PATHS: Final = ["/wo" + "rk/", "/opt/" + "wheels", "/ro" + "ot/", "/ho" + "me/"]
UNWANTED: Final = re.compile("|".join(map(re.escape, HOSTS + PATHS)))
INDEX_OPTION: Final = re.compile(r"(?m)^\s*--?(index-url|extra-index-url|find-links|i |f )")

PEM_KEY: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(\\n|\s)+[A-Za-z0-9+/=]{16}")
KEY_SUFFIXES: Final = {".key", ".p12", ".pfx", ".jks"}


def holds_key(name: PurePosixPath, text: str) -> bool:
    return name.suffix in KEY_SUFFIXES or PEM_KEY.search(text) is not None


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    faults = [
        f"{short(path)}: {found.group()}"
        for path, text in tracked_texts()
        if (found := UNWANTED.search(text))
    ]
    assert not faults, "\n".join(faults)


def test_keys_are_tracked_only_as_vectors_that_say_they_are_generated() -> None:
    faults = []
    for path, text in tracked_texts():
        name = PurePosixPath(short(path))
        if not holds_key(name, text):
            continue
        vector = name.parts[0] == "tests" and "vectors" in name.parts[:-1]
        if not vector or "generated" not in text.lower():
            faults.append(f"{name} holds a private key and does not say that it was generated")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gateway/x.py", "-----BEGIN EC " + "PRIVATE KEY-----\nMHcCAQEEIBlkqZQ9vG1f\n"),
        ("x.json", '"-----BEGIN ' + 'PRIVATE KEY-----\\nMHcCAQEEIBlkqZQ9vG1f"'),
        ("site/root.key", ""),
    ],
)
def test_each_form_of_a_key_is_seen(name: str, text: str) -> None:
    assert holds_key(PurePosixPath(name), text)


@pytest.mark.parametrize("lock", ["build", "dev", "lock-tool", "runtime"])
def test_every_locked_part_carries_hashes_and_no_index(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert [entry.split()[0] for entry in entries if "==" not in entry.split()[0]] == []
    assert INDEX_OPTION.search(text) is None


def test_every_part_from_npm_carries_a_hash_and_no_registry() -> None:
    parts = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    named = {name: part for name, part in parts.items() if name}
    assert named
    assert [name for name, part in named.items() if "integrity" not in part] == []
    assert [name for name, part in named.items() if "resolved" in part] == []
