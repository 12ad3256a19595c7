"""``python -m jdobb_service.openapi > openapi/openapi.json`` writes the OpenAPI document."""

from __future__ import annotations

import json
import sys

from jdobb_service.app import RESOURCES
from jdobb_service.document import describe

if __name__ == "__main__":
    sys.stdout.write(json.dumps(describe(RESOURCES), indent=2) + "\n")
