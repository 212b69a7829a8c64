"""One look for all figures: inks, family colours and Vega-Lite's configuration."""

from typing import Any

from dbray.claims.names import FAMILY_TITLES, Family

INK = "#1f2328"
MUTED = "#5f6773"
RULE = "#d8dce2"
# Okabe and Ito's colours, made to be told apart with any colour vision, for lines of many groups.
LINE_COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
    "#8c8c8c",
)
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

# Blue against orange is told apart with every kind of colour vision; kept away from the class
# colours, which mean classes only.
FAMILY_COLOURS: dict[Family, str] = {
    "convolutional": "#2b5c8a",
    "other": "#c2571a",
    "unclassified": "#6b6b6b",
}
FAMILY_SCALE: dict[str, Any] = {
    "domain": list(FAMILY_TITLES.values()),
    "range": [FAMILY_COLOURS[key] for key in FAMILY_TITLES],
}

VEGA_CONFIG: dict[str, Any] = {
    "background": "white",
    "font": FONT,
    "padding": 8,
    "view": {"stroke": None},
    "title": {
        "anchor": "start",
        "color": INK,
        "fontSize": 15,
        "fontWeight": 600,
        "offset": 14,
        "subtitleColor": MUTED,
        "subtitleFontSize": 12,
        "subtitlePadding": 5,
    },
    "axis": {
        "domainColor": RULE,
        "gridColor": "#eceef1",
        "labelColor": INK,
        "labelFontSize": 11,
        "labelLimit": 150,
        "tickColor": RULE,
        "titleColor": MUTED,
        "titleFontSize": 11.5,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "header": {
        "labelColor": INK,
        "labelFontSize": 12,
        "labelFontWeight": 600,
        "titleColor": MUTED,
    },
    "legend": {
        "labelColor": INK,
        "labelFontSize": 11,
        "symbolLimit": 300,
        "titleColor": MUTED,
        "titleFontSize": 11.5,
        "titleFontWeight": "normal",
    },
}
