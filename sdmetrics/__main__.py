"""The command `sdmetrics`."""

from __future__ import annotations

import sys

from sdmetrics.errors import InputError, MissingExtra


def main() -> None:
    """Run the command. An error that a user can fix is one line on standard error and exit code 2, not a traceback."""
    try:
        from sdmetrics.cli import app
        from sdmetrics.cli.app import notes_printed
    except ImportError as error:
        _stop(f"the command needs {error.name}; install it: pip install 'static-dynamic-metrics[cpu]'")
    try:
        with notes_printed():
            app()
    except (InputError, MissingExtra, OSError) as error:
        _stop(str(error))


def _stop(message: str) -> None:
    """Print the error and exit with status 2."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
