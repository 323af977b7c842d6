"""What is said over the broker, as docs/api/mqtt.asyncapi.json keeps it, made of the contract.

python -m gateway.link.asyncapi > docs/api/mqtt.asyncapi.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from contract.checkpoint import CheckpointMessage
from contract.declaring import DowntimeSaid
from contract.directory import MAX_CHANGE_BYTES, DirectoryChange
from contract.emergency import MAX_EMERGENCY_BYTES, Emergency
from contract.help import MAX_HELP_BYTES, SpareAssignment
from contract.journal import MAX_BATCH_BYTES, BatchStatement, Receipt
from contract.move import MAX_MOVE_BYTES, SessionHandover, StateTaken
from contract.signing import Envelope, Statement
from contract.statements import Heartbeat, KeyStatement, TerminalStatus
from contract.tap import MoveRequest, PinProof
from contract.topics import AMONG_TERMINALS, PREFIX, FromTerminal, Site, ToTerminal, site_topic
from contract.wire import Record

Channel = FromTerminal | ToTerminal | Site
_REF: Final = "#/components/schemas/{model}"
_WORDS: Final = """\
As a terminal says and hears it; the gateway does the reverse. TLS 1.3 with a client certificate \
whose common name is the terminal's id, MQTT user name and client id. A terminal writes below its \
own name alone. MQTT 3.1.1 is enough. A PUBACK is no promise: what matters has a receipt, or is \
said again.

A *statement* is sent in a DSSE envelope, whose `payload` (base64) is the JSON that `x-payload` \
describes. Where `x-lines` says so, more lines follow the envelope's one, each behind a single \
newline, none at the end."""


@dataclass(frozen=True, slots=True)
class Said:
    """One kind of message."""

    model: type[Record]
    words: str
    lines: str | None = None
    """What stands in the lines behind it."""
    cap: int | None = None
    """Bytes in all; null: the model's own."""

    @property
    def most(self) -> int:
        """Bytes; a reader refuses more."""
        return self.cap or (Envelope.CAP if self.enveloped else self.model.CAP)

    @property
    def enveloped(self) -> bool:
        """Whether it is signed."""
        return issubclass(self.model, Statement)


_EMERGENCY: Final = Said(
    Emergency, "Break-glass, as its terminal signed it", cap=MAX_EMERGENCY_BYTES
)
_HEARTBEAT: Final = Said(
    Heartbeat, "Site time and the newest version, twice a second; with a nonce, an answer to it"
)
MESSAGES: Final[Mapping[Channel, tuple[Said, ...]]] = {
    FromTerminal.AUDIT: (
        Said(BatchStatement, "Events of its journal", "an event each", MAX_BATCH_BYTES),
    ),
    FromTerminal.STATUS: (Said(TerminalStatus, "Its birth and will, and its counts"),),
    FromTerminal.PIN: (Said(PinProof, "A PIN was proved here: others derive grace from it"),),
    FromTerminal.MOVE: (
        Said(MoveRequest, "A tap here: what its holder has elsewhere gives way"),
        Said(SessionHandover, "What gave way", "the sealed state, if any", MAX_MOVE_BYTES),
        Said(StateTaken, "Its state has arrived"),
    ),
    FromTerminal.HELP: (
        Said(SpareAssignment, "A spare was assigned", "its terms", MAX_HELP_BYTES),
    ),
    FromTerminal.EMERGENCY: (_EMERGENCY,),
    FromTerminal.DOWNTIME: (Said(DowntimeSaid, "What two cards declared here, or one ended"),),
    ToTerminal.RECEIPT: (Said(Receipt, "What became of a batch"),),
    ToTerminal.INBOX: (_HEARTBEAT,),
    Site.DIRECTORY: (
        Said(DirectoryChange, "A change of the directory", "an entry each", MAX_CHANGE_BYTES),
    ),
    Site.HEARTBEAT: (_HEARTBEAT,),
    Site.CHECKPOINT: (Said(CheckpointMessage, "The log's newest checkpoint, once a second"),),
    Site.KEYS: (Said(KeyStatement, "Whose signatures count, again and again"),),
    Site.EMERGENCIES: (_EMERGENCY,),
}
"""Who reads it finds the kind by the envelope's `payloadType`, or by `type`."""


def describe() -> str:
    """AsyncAPI 3.0 as JSON, two blanks deep, with a newline at its end."""
    models = {said.model for kinds in MESSAGES.values() for said in kinds} | {Envelope}
    named = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(model, "validation") for model in named], ref_template=_REF)
    heard = (*AMONG_TERMINALS, *ToTerminal, *Site)
    described = {
        "asyncapi": "3.0.0",
        "info": {"title": "tapover site", "version": "1", "description": _WORDS},
        "defaultContentType": "application/json",
        "channels": {_name(channel): _channel(channel) for channel in MESSAGES},
        "operations": {
            **{f"say-{each}": _operation("send", each) for each in FromTerminal},
            **{f"hear-{_name(each)}": _operation("receive", each) for each in heard},
        },
        "components": {
            "messages": {
                said.model.__name__: _message(said) for kinds in MESSAGES.values() for said in kinds
            },
            "schemas": schemas["$defs"],
        },
    }
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def _name(channel: Channel) -> str:
    return f"site-{channel}" if isinstance(channel, Site) else str(channel)


def _channel(channel: Channel) -> dict[str, Any]:
    kinds = [said.model.__name__ for said in MESSAGES[channel]]
    messages = {kind: {"$ref": f"#/components/messages/{kind}"} for kind in kinds}
    if isinstance(channel, Site):
        return {"address": site_topic(channel), "messages": messages}
    whose = "That writes it" if isinstance(channel, FromTerminal) else "To which it is said"
    return {
        "address": f"{PREFIX}/{{terminal}}/{channel}",
        "parameters": {"terminal": {"description": whose}},
        "messages": messages,
    }


def _operation(action: str, channel: Channel) -> dict[str, Any]:
    at = f"#/channels/{_name(channel)}"
    summary = "; ".join(said.words for said in MESSAGES[channel])
    retained = channel is FromTerminal.STATUS
    # Said again so soon that one that is lost is no matter.
    qos = 0 if channel in (Site.HEARTBEAT, Site.CHECKPOINT) else 1
    return {
        "action": action,
        "channel": {"$ref": at},
        "summary": summary,
        "messages": [
            {"$ref": f"{at}/messages/{said.model.__name__}"} for said in MESSAGES[channel]
        ],
        "bindings": {"mqtt": {"qos": qos, "retain": retained}},
    }


def _message(said: Said) -> dict[str, Any]:
    model = Envelope if said.enveloped else said.model
    message: dict[str, Any] = {
        "title": said.words,
        "payload": {"$ref": _REF.format(model=model.__name__)},
        "x-most-bytes": said.most,
    }
    if said.enveloped:
        message["x-payload"] = {"$ref": _REF.format(model=said.model.__name__)}
    if said.lines is not None:
        message["x-lines"] = said.lines
    return message


def main() -> None:
    """Prints it."""
    sys.stdout.write(describe())


if __name__ == "__main__":
    main()
