"""Every error of `tapover` has a number of its own, and docs/errors.md says the same of it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import provisioning
from provisioning.errors import ProvisioningError

TABLE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
STATUSES = {1, 2, 3}


def family(base: type[ProvisioningError] = ProvisioningError) -> Iterator[type[ProvisioningError]]:
    """The base and everything below it, wherever it is defined in the package."""
    yield base
    for each in base.__subclasses__():
        yield from family(each)


def all_errors() -> list[type[ProvisioningError]]:
    for module in pkgutil.walk_packages(provisioning.__path__, "provisioning."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return sorted(family(), key=lambda each: each.code)


def row_of(error: type[ProvisioningError]) -> str:
    """As the table must have it."""
    first = (error.__doc__ or "").partition("\n")[0]
    columns = (str(error.code), error.__name__, str(error.exit_status), first, error.remedy)
    return f"| {' | '.join(columns)} |"


def test_the_table_says_of_each_error_what_its_class_says() -> None:
    rows = [line for line in TABLE.read_text().splitlines() if re.match(r"\| \d{3} \|", line)]
    assert rows == [row_of(error) for error in all_errors()]


def test_a_number_belongs_to_one_error() -> None:
    counted = Counter(error.code for error in all_errors())
    assert [code for code, count in counted.items() if count > 1] == []


def test_each_error_says_what_to_do_and_ends_with_a_status_of_the_table() -> None:
    for error in all_errors():
        assert error.exit_status in STATUSES, error
        assert error.remedy.endswith("."), error
        assert (error.__doc__ or "").partition("\n")[0].endswith("."), error
        # Said for this error, not inherited: what helps against one rarely helps against another.
        assert "remedy" in vars(error), error
        assert "code" in vars(error), error
