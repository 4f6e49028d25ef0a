"""The command `sdmetrics`."""

from __future__ import annotations

import sys
import traceback

from sdmetrics import _interrupts
from sdmetrics._text import printable
from sdmetrics.errors import InputError, MissingExtra

INTERRUPTED = 130
"""What Typer returns after Ctrl-C."""


def main() -> None:
    """Run the command. An error that a user can fix is one line on standard error and exit code 2, not a traceback."""
    try:
        from typer import Abort

        from sdmetrics.cli import app
        from sdmetrics.cli.app import notes_printed
        from sdmetrics.cli.console.terminal import prepare_streams
        from sdmetrics.cli.console.usage import UsageError, usage_line
    except ImportError as error:
        _stop(f"the command needs {error.name}; install it: pip install 'static-dynamic-metrics[cpu]'")
    prepare_streams()
    try:
        with _interrupts.raised(), notes_printed():
            code = app(standalone_mode=False)
        if code == INTERRUPTED:
            print("Interrupted.", file=sys.stderr)
        sys.exit(code)
    except Abort:
        _stop("a file or the standard input ended before its content did")
    except UsageError as error:
        _stop(usage_line(error))
    except (InputError, MissingExtra, OSError) as error:
        _print_cause(error)
        _stop(str(error))


def _print_cause(error: BaseException) -> None:
    """Print the traceback of the error that was the cause of one, if --verbose is passed."""
    from sdmetrics.probes.quiet import logs_shown

    if logs_shown() and error.__cause__ is not None:
        for line in "".join(traceback.format_exception(error.__cause__)).splitlines():
            print(printable(line), file=sys.stderr)


def _stop(message: str) -> None:
    """Print the error, if there is one to print, and exit with status 2."""
    if message:
        print(f"error: {printable(' '.join(message.splitlines()))}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
