"""The page of a study: score tables in, claims and figures out. No torch, no Ray.

``tables/`` reads what a study has, ``figures/`` draws it;
``sections/`` are the parts of the page, ``page/`` its look; ``report.py`` puts them together.
"""

from dbray.report.compare import build_comparison
from dbray.report.explorer import HOW, Shown, Slice, explorer_of, instrument, packed_columns
from dbray.report.figures.regions import picture_uri, plotted_rectangle
from dbray.report.figures.sheets import write_sheets
from dbray.report.index import write_index
from dbray.report.live import EVERY, LIVE, write_live
from dbray.report.page.page import Instrument, framed
from dbray.report.report import build_report, write_report
from dbray.report.tables.images import THUMBNAILS_FILE, contested_ids
from dbray.report.tables.pictures import Picture

__all__ = [
    "EVERY",
    "HOW",
    "LIVE",
    "THUMBNAILS_FILE",
    "Instrument",
    "Picture",
    "Shown",
    "Slice",
    "build_comparison",
    "build_report",
    "contested_ids",
    "explorer_of",
    "framed",
    "instrument",
    "packed_columns",
    "picture_uri",
    "plotted_rectangle",
    "write_index",
    "write_live",
    "write_report",
    "write_sheets",
]
