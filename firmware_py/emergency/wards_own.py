"""The ward's break-glass as it was last known: it outlives the directory that said it.

A directory that is damaged or lost takes every right with it, and the policy too. What a ward
decided about its emergencies is kept beside it, and stands while no directory does.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from contract.policy import Policy
from contract.wire import WireError
from firmware_py.trust.custody import Custody
from firmware_py.trust.here import default_policy
from runtime.durable import NotThere, StorageError, read_capped, write_file

LOG: Final = logging.getLogger("tapover.emergency")


class WardsOwn:
    """Belongs to the consumer; writes in a worker thread."""

    def __init__(self, path: Path, custody: Custody) -> None:
        self._path = path
        self._custody = custody
        self._writing: asyncio.Future[None] | None = None
        self._kept = self._written = self._read()
        custody.fallback = self._as_fallback(self._kept)

    def changed(self) -> None:
        """The directory is another one."""
        place = self._custody.place()
        policy = place.policy
        # Defaults that stand for a policy that cannot be read say nothing of its break-glass.
        if not self._custody.has_directory or place.unread:
            return
        if policy != self._kept:
            self._kept = policy
            self._custody.fallback = self._as_fallback(policy)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.ensure_future(self._keep())

    async def _keep(self) -> None:
        """One at a time, so that the newest is what stays; what failed is tried at the next."""
        while (policy := self._kept) is not None and policy != self._written:
            if not await asyncio.to_thread(self._write, policy):
                return
            self._written = policy

    def _as_fallback(self, policy: Policy | None) -> Policy:
        """Nothing but break-glass: no other right is judged by what is merely remembered."""
        if policy is None:
            return default_policy()
        return default_policy(policy.ward).model_copy(update={"break_glass": policy.break_glass})

    def _read(self) -> Policy | None:
        try:
            return Policy.from_bytes(read_capped(self._path, Policy.CAP))
        except NotThere:
            return None
        except (StorageError, WireError) as error:
            LOG.warning("the ward's break-glass is not known", extra={"why": str(error)})
            return None

    def _write(self, policy: Policy) -> bool:
        try:
            write_file(self._path, policy.to_bytes())
        except StorageError as error:
            LOG.warning("the ward's break-glass is not kept", extra={"why": str(error)})
            return False
        return True
