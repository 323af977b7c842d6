"""What every test may ask for, and which tests are left to `make test FULL=1`."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# Two shared cores: a slow example is the machine's fault, so no deadline. A failure prints the
# blob that reproduces it; CI does not draw new luck for the same commit.
settings.register_profile(
    "quick",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    max_examples=100,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("full", settings.get_profile("quick"), max_examples=1000)

_UMASK = os.umask(0o022)
os.umask(_UMASK)
_LONG = frozenset({"browser", "e2e", "counts"})
_left_out = pytest.StashKey[int]()
_WORKERS_LEFT_OUT = "left_out"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="run the slow tests too")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("full" if config.getoption("--full") else "quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Two processes end together when what takes longest is begun first.
    items.sort(key=lambda item: item.path.parent.name not in _LONG)
    if config.getoption("--full"):
        return
    left_out = [item for item in items if item.get_closest_marker("full")]
    config.stash[_left_out] = len(left_out)
    if left_out:
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """What a test does to its process must not last: foreign servers could not read their files."""
    yield
    if (left := os.umask(_UMASK)) != _UMASK:
        pytest.fail(f"{item.nodeid} leaves the umask at {left:03o}")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - xdist has no types
    """Each of the processes that share the tests has left out the same ones."""
    node.config.stash[_left_out] = node.workeroutput.get(_WORKERS_LEFT_OUT, 0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output[_WORKERS_LEFT_OUT] = session.config.stash.get(_left_out, 0)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if count := config.stash.get(_left_out, 0):
        terminalreporter.write_line(
            f"{count} full-only tests left out; make test FULL=1 runs them."
        )


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A fresh directory with a path short enough for a unix socket (107 bytes), on a real disk.

    Readable by an unprivileged foreign server, and gone after the test.
    """
    path = Path(tempfile.mkdtemp(prefix="tap-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)
