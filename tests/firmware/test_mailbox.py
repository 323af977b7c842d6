"""A flood from outside is dropped; what the terminal's own parts report is not."""

from __future__ import annotations

from firmware_py import items
from firmware_py.glass.commands import Activity
from firmware_py.parts import MAX_QUEUED, Mailbox


async def test_a_full_queue_takes_no_more_from_page_and_site_but_everything_from_our_own() -> None:
    mailbox = Mailbox()
    for _ in range(MAX_QUEUED + 50):
        mailbox.post(Activity())
    mailbox.post(items.Durable())
    taken = []
    while not mailbox.empty:
        taken.append(await mailbox.next())
    assert taken.count(Activity()) == MAX_QUEUED
    assert taken[-1] == items.Durable()


async def test_when_the_flood_is_over_the_page_is_heard_again() -> None:
    mailbox = Mailbox()
    for _ in range(MAX_QUEUED + 1):
        mailbox.post(Activity())
    await mailbox.next()
    mailbox.post(Activity())
    mailbox.post(Activity())
    count = 0
    while not mailbox.empty:
        await mailbox.next()
        count += 1
    assert count == MAX_QUEUED
