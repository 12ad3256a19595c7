"""``jdobb serve`` as it is, but that a SQLite database is written with a ledger (``actors.ledger``)."""

from __future__ import annotations

from chaos.actors import ledger
from chaos.actors.part import Part
from jdobb_service.cli import main

if __name__ == "__main__":
    ledger.install(Part.mine())
    main()
