"""What is called when the process goes down."""

from __future__ import annotations

import asyncio

from jdobb_service.closing import Closing


async def test_who_asked_for_it_is_called_unless_it_has_left():
    closing, called = Closing(), []
    with closing.calling(lambda: called.append("left")):
        pass
    with closing.calling(lambda: called.append("stays")):
        closing.set()
    assert called == ["stays"]


async def test_one_who_comes_too_late_is_called_soon():
    closing, called = Closing(), []
    closing.set()
    with closing.calling(lambda: called.append("late")):
        assert called == []
        await asyncio.sleep(0)
    assert called == ["late"]


async def test_one_who_leaves_when_called_keeps_nobody_else_from_it():
    closing, called = Closing(), []
    first = closing.calling(lambda: (called.append(1), first.__exit__(None, None, None)))
    with closing.calling(lambda: called.append(2)):
        first.__enter__()
        closing.set()
    assert called == [2, 1]
