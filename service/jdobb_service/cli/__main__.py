"""``python -m jdobb_service.cli`` is ``jdobb``."""

from jdobb_service.cli import main

if __name__ == "__main__":
    main()
