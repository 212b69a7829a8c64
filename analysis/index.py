"""Write one page over all studies of a storage location.

python analysis/index.py runs --open
python analysis/index.py s3://bucket/prefix

From then on each study's command writes it again.
"""

from dataclasses import dataclass

import tyro

from dbray.command_line import open_in_browser, run_command


@dataclass(frozen=True)
class Index:
    """Write one page over all studies of a storage location; nothing is trained or scored."""

    storage: tyro.conf.Positional[str]
    """where studies lie: a directory, or a URI such as s3://bucket/prefix"""
    open: bool = False
    """open the page in a browser"""


def main(options: Index) -> int:
    """Write the page and say where it is."""
    from dbray.report import write_index

    location = write_index(options.storage)
    print(f"index: {location}")  # noqa: T201
    if options.open:
        open_in_browser(location)
    return 0


if __name__ == "__main__":
    run_command(Index, main)
