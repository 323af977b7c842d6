"""The desks of a terminal, in the order in which they are asked (`firmware_py.inside`).

Who is in the middle of something comes before who only begins: a PIN, a hand to help, an offer.
docs/terminal.md has a line for each, and what it hangs into the parts that it stands beside.
"""

from __future__ import annotations

from firmware_py.countersign.line import CountersignLine
from firmware_py.emergency.alerts import AlertsLine
from firmware_py.emergency.downtime import DowntimeLine
from firmware_py.emergency.line import BreakGlassLine
from firmware_py.help.line import HelpLine
from firmware_py.inside import Desk, Inside
from firmware_py.kiosk.pages import PageDesk
from firmware_py.kiosk.tongue import Tongue
from firmware_py.local_api.line import LocalApiLine
from firmware_py.pin.line import PinLine
from firmware_py.roaming.line import RoamingLine
from firmware_py.sessions.telling import UnsavedDesk
from firmware_py.signon.changing import PositionsDesk
from firmware_py.signon.holding import HoldDesk
from firmware_py.signon.left import LeftDesk
from firmware_py.workspace.desk import WorkspaceDesk


def desks_of(inside: Inside) -> tuple[Desk, ...]:
    """Everything that a person can do here beside signing on."""
    alerts, break_glass = AlertsLine(inside), BreakGlassLine(inside)
    break_glass.on_opened = alerts.add
    return (
        break_glass,
        alerts,
        DowntimeLine(inside),
        PinLine(inside),
        HelpLine(inside),
        CountersignLine(inside),
        HoldDesk(inside),
        PositionsDesk(inside),
        LeftDesk(inside),
        UnsavedDesk(inside),
        WorkspaceDesk(inside),
        PageDesk(inside),
        Tongue(inside),
        RoamingLine(inside),
        LocalApiLine(inside),
    )
