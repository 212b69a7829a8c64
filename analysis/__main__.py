"""Make a study's report again: ``python -m analysis --storage DIR-or-URI --name STUDY``."""

from dataclasses import dataclass

from dbray.command_line import open_in_browser, run_command


@dataclass(frozen=True)
class Report:
    """Make the report of a scored study again; nothing is trained or scored."""

    storage: str = "./runs"
    """where studies lie: a directory, or a URI such as s3://bucket/prefix"""
    name: str = "arch_repro"
    """name of the study"""
    open: bool = False
    """open the report in a browser"""


def main(options: Report) -> int:
    """Write the page and say where it is."""
    from analysis.report import write_report
    from dbray.store import open_study

    location = write_report(open_study(options.storage, options.name))
    print(f"report: {location}")  # noqa: T201
    if options.open:
        open_in_browser(location)
    return 0


if __name__ == "__main__":
    run_command(Report, main)
