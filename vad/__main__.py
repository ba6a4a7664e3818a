"""``python -m vad``."""

from vad.cli import main

if __name__ == "__main__":
    main()
