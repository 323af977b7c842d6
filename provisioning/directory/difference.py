"""What a change would make different, in words: shown to whoever signs or approves it, before.

One line an entry, ids and values only; of a thousand the first forty and how many follow.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter

from contract.directory import Entry, EntryKind, Key, Removed, entry_key, parse_entry
from contract.policy import Policy
from provisioning.directory.mirror import Changed, Mirror

SHOWN: Final = 40
"""Lines that a person reads before saying yes; all of them on request."""
_UNSAID: Final = {"type", "salt"}
_JSON: Final[TypeAdapter[Any]] = TypeAdapter(Any)


@dataclass
class Difference:
    """Counts, and the first lines of it."""

    shown: int | None = SHOWN
    """None: every line is kept."""
    lines: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, changed: Changed) -> bool:
        """Notes a changed entry; whether anything but its salt differs."""
        said = words_of(changed)
        if said is None:
            return False
        kind = (
            "removed" if changed.after is None else "new" if changed.before is None else "changed"
        )
        self.counts[kind] += 1
        if self.shown is None or len(self.lines) < self.shown:
            self.lines.append(said)
        return True

    @property
    def total(self) -> int:
        return self.counts.total()

    def to_words(self) -> list[str]:
        """For stderr, and for who must decide."""
        parts = [f"{count} {name}" for name, count in sorted(self.counts.items())]
        rest = self.total - len(self.lines)
        more = [f"  ... and {rest} more (--all shows them)"] if rest else []
        return [*(f"  {line}" for line in self.lines), *more, f"  {', '.join(parts) or 'nothing'}"]

    def to_json(self) -> dict[str, Any]:
        return {"total": self.total, **dict(sorted(self.counts.items()))}


def change_of(mirror: Mirror, entry: Entry) -> Changed:
    """What an entry would make of what stands here."""
    key = entry_key(entry)
    after = None if isinstance(entry, Removed) else entry.to_bytes()
    return Changed(key, mirror.entry(key), after)


def words_of(changed: Changed) -> str | None:
    """One line; None where nothing but the salt differs."""
    before = _fields(changed.before)
    after = _fields(changed.after)
    if before == after:
        return None
    name = _name(changed.key, after or before)
    if not after:
        return f"- {name}: removed"
    if not before:
        return f"+ {name}: {_summary(changed.key, after)}"
    parts = [
        f"{key}: {_value(before.get(key))} -> {_value(after.get(key))}"
        for key in after
        if before.get(key) != after.get(key)
    ]
    return f"~ {name}: {'; '.join(parts)}"


def _fields(line: bytes | None) -> dict[str, Any]:
    if line is None:
        return {}
    entry = parse_entry(line)
    names = [name for name in type(entry).model_fields if name not in _UNSAID]
    # Field by field: a policy is written without what came later and says nothing, but has it.
    return {name: _JSON.dump_python(getattr(entry, name), mode="json") for name in names}


def _name(key: Key, fields: dict[str, Any]) -> str:
    kind, id_ = key
    if kind is EntryKind.ENTITLEMENT:
        return f"card {id_} of {fields['holder']}"
    return f"{'ward' if kind is EntryKind.POLICY else kind} {id_}"


def _summary(key: Key, fields: dict[str, Any]) -> str:
    match key[0]:
        case EntryKind.ENTITLEMENT:
            return f"{fields['status']}, {_value(fields['positions'])}"
        case EntryKind.TERMINAL:
            return f"{fields['state']}, ward {fields['ward']}"
        case EntryKind.POLICY:
            usual = _fields(Policy(ward=fields["ward"], salt="0" * 32).to_bytes())
            own = {name: value for name, value in fields.items() if value != usual[name]}
            return f"policy; {_value(own)}" if own else "policy; the usual settings"
        case EntryKind.SPARE:
            where = ", ".join(fields["wards"]) or "every ward"
            return f"{fields['status']}, spare for {where}"


def _value(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    match value:
        case list():
            return ", ".join(_value(one) for one in value) or "none"
        case {"id": id_, "areas": areas, **rest}:
            where = f" ({', '.join(areas)})" if areas else ""
            return f"{id_}{where}" + (f" [{rest['role']}]" if rest.get("role") else "")
        case {"full": full}:
            return str(full)
        case dict():
            return ", ".join(f"{name} {_value(one)}" for name, one in value.items())
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case _:
            text = str(value)
            return text if len(text) <= 64 else f"{text[:16]}..."  # noqa: PLR2004 - keys
