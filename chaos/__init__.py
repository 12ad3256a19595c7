"""Real processes of this project on loopback, faults of every kind at seeded moments, and a proof afterwards.

* ``actors`` are the programs that take part: workers, producers, watchers, the service.
* ``stage`` starts and ends them, and has the stores that they work on.
* ``faults`` are what is done to them, a small class each.
* ``history`` is what everybody wrote down, and the checks over it.
* ``run`` puts a run together; ``report`` tells what came of it.
"""
