"""Write a study's page again; nothing is trained or scored.

python analysis/report.py runs/arch_repro --open
python analysis/report.py s3://bucket/prefix/arch_repro
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import tyro

from dbray.command_line import open_in_browser, run_command

if TYPE_CHECKING:
    from dbray.store import Study


@dataclass(frozen=True)
class Report:
    """Write the page of a scored study again; nothing is trained or scored."""

    study: tyro.conf.Positional[str]
    """the study's folder: a directory, or a URI such as s3://bucket/prefix/NAME"""
    open: bool = False
    """open the page in a browser"""


def main(options: Report) -> int:
    """Write the page and say where it is."""
    from dbray.store import open_study_folder

    return write(open_study_folder(options.study), show=options.open)


def write(study: "Study", *, show: bool) -> int:
    """Write a study's page, say where it is, and open it if asked."""
    from dbray.report import write_report

    location = write_report(study)
    print(f"report: {location}")  # noqa: T201
    if show:
        open_in_browser(location)
    return 0


if __name__ == "__main__":
    run_command(Report, main)
