"""Strict records: what a peer sends is understood exactly or refused whole.

The rules, all of them applied before any field is looked at:
- UTF-8, at most `cap` bytes (each record type says its cap);
- I-JSON (RFC 7493): no duplicate keys, no fraction or exponent, integers within ±(2^53 - 1), no
  lone surrogates;
- nesting of at most `MAX_DEPTH`;
- no unknown field, no coercion (a number is not a string).

Base64 is RFC 4648 §4 with padding and has one spelling: one changed character can decode to the
same bytes, so it is encoded again and compared.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Never, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MAX_SAFE_INTEGER = 2**53 - 1
# Our deepest record nests four levels; a bound far below the interpreter's recursion limit.
MAX_DEPTH = 16


class WireError(ValueError):
    """Bytes from a peer that are not what the contract allows.

    The message names the rule, never the content.
    """


def decode_base64(text: str) -> bytes:
    """The bytes of canonical base64 `text`; raises WireError on any other spelling."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError("not base64") from error
    if encode_base64(raw) != text:
        raise WireError("base64 is not in its one spelling")
    return raw


def encode_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _base64_field(text: str) -> str:
    decode_base64(text)
    return text


Base64 = Annotated[str, AfterValidator(_base64_field)]
Count = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]
"""A count, a size or an index."""
UnixMs = Annotated[int, Field(ge=0, le=MAX_SAFE_INTEGER)]
"""Milliseconds since 1970-01-01T00:00:00Z, as POSIX counts them."""


def _refuse_number(_text: str) -> Never:
    raise WireError("a number with fraction, exponent or no value")


def _safe_integer(text: str) -> int:
    if len(text) > len(str(MAX_SAFE_INTEGER)) + 1:
        raise WireError("an integer beyond 2^53 - 1")
    value = int(text)
    if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        raise WireError("an integer beyond 2^53 - 1")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise WireError("a key stands twice in one object")
    return record


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
    parse_int=_safe_integer,
)


def _check_depth(text: str) -> None:
    """Counts brackets without parsing: a deep document never reaches the recursive parser."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth, in_string, escaped = 0, False, False
    for char in text:
        if escaped:
            escaped = False
        elif in_string:
            escaped = char == "\\"
            in_string = char != '"'
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise WireError("nested too deep")
        elif char in "]}":
            depth -= 1


def check_i_json(data: bytes, cap: int) -> object:
    """Parses `data` under the rules above and returns the plain JSON value. Raises WireError."""
    if len(data) > cap:
        raise WireError(f"more than {cap} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError("not UTF-8") from error
    _check_depth(text)
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise WireError("not JSON") from error
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _check_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise WireError("a lone surrogate") from error


class Part(BaseModel):
    """A piece of a record: strict, frozen, closed."""

    # Built when first used: a terminal reads a third of the records, and each costs it memory.
    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        ser_json_inf_nan="constants",
        defer_build=True,
    )


@dataclass(frozen=True, slots=True)
class ByKind:
    """Reads the one of a union's parts that `kind` names, and writes it as what it is.

    A discriminated union's own schema holds all of them, which a terminal would carry in memory
    for the dozen events that it writes.
    """

    union: object

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> CoreSchema:
        kinds: dict[str, type[Part]] = {
            one.model_fields["kind"].default: one for one in get_args(self.union)
        }

        def read(value: object) -> Part:
            if isinstance(value, Part) and type(value) in kinds.values():
                return value
            kind = value.get("kind") if isinstance(value, dict) else None
            if not isinstance(kind, str) or kind not in kinds:
                raise PydanticCustomError("kind_unknown", "no kind of ours")
            try:
                # As text once more: strict for JSON is not what is strict for Python's own values.
                return kinds[kind].model_validate_json(json.dumps(value))
            except ValidationError as error:
                raise PydanticCustomError(_first_wrong(error), "a field of it") from None

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.simple_ser_schema("any")
        )


class Record(Part):
    """A record on the wire or in the journal.

    Fields grow only at the end, with a default (STYLE 9).
    """

    CAP: ClassVar[int] = 64 * 1024
    """Bytes at most. 64 KiB unless the record says otherwise.

    Every single record of ours is far smaller.
    """

    def to_bytes(self) -> bytes:
        """Compact JSON, fields in the order of their definition.

        These bytes are what is signed and hashed.
        """
        return self.model_dump_json().encode("utf-8")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The record in `data`; raises WireError naming the first field that is wrong."""
        check_i_json(data, cls.CAP)
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise WireError(f"{cls.__name__}: {_first_wrong(error)}") from error


def _first_wrong(error: ValidationError) -> str:
    """Where, and what kind of wrong: neither a value nor a strange field's name, a peer's word."""
    first = error.errors(include_input=False, include_url=False)[0]
    known = first["loc"][:-1] if first["type"] == "extra_forbidden" else first["loc"]
    where = ".".join(str(step) for step in known) or "record"
    return f"{where}: {first['type']}"
