"""The document of what is said over the broker is made of the contract, and of all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from contract.topics import AMONG_TERMINALS, FromTerminal, Site, ToTerminal, parse_topic
from gateway.link.asyncapi import MESSAGES, describe
from provisioning.site.broker import access_rules
from tests.test_house.tree import ROOT

FILE = ROOT / "docs" / "api" / "mqtt.asyncapi.json"
DESCRIBED: dict[str, Any] = json.loads(FILE.read_text())


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_file_is_what_the_contract_says() -> None:
    assert FILE.read_text() == describe(), (
        "python -m gateway.link.asyncapi > docs/api/mqtt.asyncapi.json"
    )


def test_every_channel_of_the_contract_is_described_at_its_address() -> None:
    assert set(MESSAGES) == {*FromTerminal, *ToTerminal, *Site}
    for channel in DESCRIBED["channels"].values():
        assert parse_topic(channel["address"].replace("{terminal}", "bay-1"))
        assert channel["messages"]


def test_a_terminal_says_and_hears_what_the_brokers_rules_let_it() -> None:
    rules = access_rules().split("user gateway\n")[0]
    channels, operations = DESCRIBED["channels"], DESCRIBED["operations"].values()
    said = {"send": set[str](), "receive": set[str]()}
    for operation in operations:
        name = operation["channel"]["$ref"].removeprefix("#/channels/")
        said[operation["action"]].add(channels[name]["address"])
    own = {f"pattern write {each.replace('{terminal}', '%u')}" for each in said["send"]}
    assert own == {line for line in rules.splitlines() if line.startswith("pattern write")}
    assert said["receive"] == {
        *(f"tapover/v1/{{terminal}}/{each}" for each in (*AMONG_TERMINALS, *ToTerminal)),
        *(f"tapover/v1/site/{each}" for each in Site),
    }


def test_whatever_it_refers_to_is_there() -> None:
    found = list(references(DESCRIBED))
    for reference in found:
        here: Any = DESCRIBED
        for step in reference.removeprefix("#/").split("/"):
            here = here[step]
        assert here
    assert len(found) > len(DESCRIBED["channels"])


def test_what_is_signed_says_so_and_each_message_has_a_bound() -> None:
    messages = DESCRIBED["components"]["messages"]
    for kinds in MESSAGES.values():
        for said in kinds:
            message = messages[said.model.__name__]
            assert ("x-payload" in message) is said.enveloped
            assert 0 < message["x-most-bytes"] <= 1 << 20
