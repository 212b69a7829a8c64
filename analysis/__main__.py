"""The former name of ``analysis/report.py``: ``python -m analysis --storage DIR --name STUDY``."""

from dataclasses import dataclass

from analysis.report import write
from dbray.command_line import run_command


@dataclass(frozen=True)
class Named:
    """Write the page of a scored study again; nothing is trained or scored."""

    storage: str = "./runs"
    """where studies lie: a directory, or a URI such as s3://bucket/prefix"""
    name: str = "arch_repro"
    """name of the study"""
    open: bool = False
    """open the page in a browser"""


def by_name(options: Named) -> int:
    """Write the page of the study of that name."""
    from dbray.store import open_study

    return write(open_study(options.storage, options.name), show=options.open)


if __name__ == "__main__":
    run_command(Named, by_name)
