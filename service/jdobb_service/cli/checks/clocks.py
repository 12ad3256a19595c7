"""How far two clocks are apart."""

from __future__ import annotations

from jdobb_service.cli.checks.finding import Finding, failure, ok, warning

NOTED, INTOLERABLE = 2.0, 30.0
"""Seconds: beyond what measuring takes, and a whole lease."""
_REMEDY = "set both clocks by NTP: delays, leases and times to live are measured by them"


def clock_finding(whose: str, ahead: float, took: float = 0.0) -> Finding:
    """Return what it means that a clock is so many seconds ahead of ours, and that asking took so long.

    What a slow answer may explain is not laid at the clocks' door.
    """
    apart = max(0.0, abs(ahead) - took / 2)
    if apart < NOTED:
        return ok("clock", f"{whose} clock and ours agree within {NOTED:g} s")
    detail = f"{whose} clock is {apart:.1f} s {'ahead of' if ahead > 0 else 'behind'} ours"
    return (failure if apart >= INTOLERABLE else warning)("clock", detail, _REMEDY)
