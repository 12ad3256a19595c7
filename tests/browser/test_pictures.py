"""The pictures of the documentation can be made anew."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

from tests.support.pictures import IMAGES, SIZE, take_all


def test_each_picture_of_the_documentation_is_made(tmp_path: Path):
    asyncio.run(take_all(tmp_path))
    made = sorted(tmp_path.iterdir())
    assert [path.name for path in made] == sorted(path.name for path in IMAGES.glob("dashboard-*.png"))
    for path in made:
        assert struct.unpack(">II", path.read_bytes()[16:24]) == (SIZE["width"], SIZE["height"])
