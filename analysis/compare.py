"""Set two studies of the same data and planes side by side.

python analysis/compare.py runs/arch_repro elsewhere/arch_repro --open

It shows what another version of a library, another machine or another recipe changed.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from dbray.command_line import open_in_browser, run_command
from dbray.errors import UserError


@dataclass(frozen=True)
class Compare:
    """Set two studies of the same data and planes side by side; nothing is trained or scored."""

    first: tyro.conf.Positional[str]
    """a study's folder: a directory, or a URI such as s3://bucket/prefix/NAME"""
    second: tyro.conf.Positional[str]
    """the study to hold against it"""
    output: Path = Path("compare.html")
    """the page that is written"""
    open: bool = False
    """open the page in a browser"""


def main(options: Compare) -> int:
    """Write the page and say where it is."""
    from dbray.report import build_comparison
    from dbray.store import open_study_folder

    page = build_comparison(open_study_folder(options.first), open_study_folder(options.second))
    try:
        options.output.write_bytes(page)
    except OSError as error:
        raise UserError(
            f"--output {options.output}: cannot be written: {error.strerror}"
        ) from error
    print(f"comparison: {options.output}")  # noqa: T201
    if options.open:
        open_in_browser(str(options.output))
    return 0


if __name__ == "__main__":
    run_command(Compare, main)
