"""Pictures at full size as PNG files: one for each model, and one sheet of the study."""

import io
import re
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from dbray.report.figures.regions import picture_image, plotted_rectangle, positions_in_picture
from dbray.report.page.names import KIND_TITLES, class_name
from dbray.report.page.palette import class_colours
from dbray.report.page.theme import INK, MUTED
from dbray.report.tables.pictures import Picture, Plane, pictured_ids, read_pictures, read_planes
from dbray.report.tables.tables import gallery_trials, trials_frame
from dbray.store import CommittedTrial, Study

FOLDER = "report/pictures"
GAP = 16  # px
NAMES = 190  # px, the column of models' names
THUMB = 64  # px
SLOT = THUMB + 84  # px, a thumbnail with its class and image id
LINE = 22  # px, of the legend
LEGEND_CLASSES = 30  # more than this, and only the images' frames tell colours
HEAD = THUMB + 62  # px, above the first row: what each plane goes through, and its images
NARROWEST = 3 * SLOT  # px, a plane's column
LOWEST = 66  # px, a row: its name has three lines
Row = tuple[str, list[Image.Image]]  # a model's name and its pictures, one a plane


def write_sheets(study: Study, *, confidence: bool = False) -> str:
    """Write ``report/pictures/``: a PNG of every model's planes, and ``sheet.png`` with all.

    The sheet has the first models of each group, as the report's gallery.

    Returns
    -------
    Where they are.
    """
    info, trials = study.info, {trial.trial_id: trial for trial in study.committed()}
    names = list(info["dataset"]["class_names"])
    planes = read_planes(study, pictured_ids(study))
    frame = trials_frame(list(trials.values()), info["group_by"])
    shown = set(gallery_trials(frame).trial_id)
    groups = dict(zip(frame.trial_id, frame.group, strict=True))
    rows: list[Row] = []
    for trial_id in frame.trial_id:
        trial = trials[trial_id]
        pictures = read_pictures(study, [trial], planes)
        images = [
            _drawn(pictures[trial_id, p.plane_id], p, info, confidence=confidence) for p in planes
        ]
        group = groups[trial_id]
        row = (_name(group, trial), images)
        _write(study, _file_name(group, trial), sheet([row], planes, names))
        if trial_id in shown:
            rows.append(row)
    _write(study, "sheet.png", sheet(rows, planes, names))
    return f"{study.location}/{FOLDER}"


def sheet(rows: Sequence[Row], planes: Sequence[Plane], names: Sequence[str]) -> Image.Image:
    """Models by planes, each plane's images above it."""
    widths = [max(NARROWEST, max(row[1][i].width for row in rows)) for i in range(len(planes))]
    heights = [max(LOWEST, *(image.height for image in images)) for _, images in rows]
    width = NAMES + sum(widths) + GAP * len(widths)
    places = _legend(names, width)
    head = HEAD + (places[-1][2] + LINE if places else 0)
    canvas = Image.new("RGB", (width, head + sum(heights) + GAP * len(heights)), "white")
    draw = ImageDraw.Draw(canvas)
    for of_class, x, y in places:
        draw.rectangle((x, y, x + 13, y + 13), fill=class_colours(len(names))[of_class])
        draw.text((x + 19, y), names[of_class], fill=INK, font=_font(12))
    left = NAMES
    for column, (plane, across) in enumerate(zip(planes, widths, strict=True)):
        _draw_head(canvas, plane, (left, head - HEAD), names)
        top = head
        for (_, images), height in zip(rows, heights, strict=True):
            canvas.paste(images[column], (left, top))
            top += height + GAP
        left += across + GAP
    top = head
    for (name, _), height in zip(rows, heights, strict=True):
        draw.multiline_text((8, top + 4), name, fill=INK, font=_font(15), spacing=6)
        top += height + GAP
    return canvas


def _drawn(
    picture: Picture, plane: Plane, info: dict[str, Any], *, confidence: bool
) -> Image.Image:
    """A picture in the plane's true proportions, with the three images' places marked."""
    extent, classes = info["pictures"]["extent"], len(info["dataset"]["class_names"])
    side = len(picture.labels)
    aspect = plotted_rectangle(plane.coordinates, extent).aspect
    size = round(side * min(aspect, 1.0)), round(side / max(aspect, 1.0))
    image = picture_image(picture, classes, confidence=confidence).convert("RGB")
    image = image.resize((max(1, size[0]), max(1, size[1])), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    radius = max(3, side // 70)
    colours = class_colours(classes)
    places = positions_in_picture(plane.coordinates, extent, side)
    for (right, down), of_class in zip(places.tolist(), plane.anchor_classes, strict=True):
        centre = right * image.width, down * image.height
        fill = colours[of_class] if of_class >= 0 else MUTED
        # A white ring inside a dark one is seen on every class colour, also the anchor's own.
        draw.circle(centre, radius + 3, fill="#111111")
        draw.circle(centre, radius + 2, fill="white")
        draw.circle(centre, radius, fill=fill)
    return image


def _legend(names: Sequence[str], width: int) -> list[tuple[int, int, int]]:
    """Class and corner (x, y) of each entry, in as many lines as it takes."""
    places: list[tuple[int, int, int]] = []
    x, y = NAMES, 8
    for of_class, name in enumerate(names if len(names) <= LEGEND_CLASSES else ()):
        needed = 34 + round(_font(12).getlength(name))
        if x + needed > width and x > NAMES:
            x, y = NAMES, y + LINE
        places.append((of_class, x, y))
        x += needed
    return places


def _draw_head(
    canvas: Image.Image, plane: Plane, corner: tuple[int, int], names: Sequence[str]
) -> None:
    left, top = corner
    draw = ImageDraw.Draw(canvas)
    colours = class_colours(len(names))
    title = f"plane {plane.plane_id}\nthrough {KIND_TITLES[plane.kind]}"
    draw.multiline_text((left, top + 6), title, fill=INK, font=_font(12), spacing=4)
    for position, png in enumerate(plane.thumbnails):
        of_class, image_id = plane.anchor_classes[position], plane.image_ids[position]
        x, y = left + position * SLOT, top + 42
        frame = colours[of_class] if of_class >= 0 else MUTED
        draw.rectangle((x, y, x + THUMB + 7, y + THUMB + 7), fill=frame)
        with Image.open(io.BytesIO(png)) as thumbnail:
            small = thumbnail.convert("RGB").resize((THUMB, THUMB), Image.Resampling.NEAREST)
        canvas.paste(small, (x + 4, y + 4))
        about = class_name(names, of_class)
        if image_id >= 0:
            about += f"\nimage {image_id}"
        draw.multiline_text((x + THUMB + 12, y + 4), about, fill=INK, font=_font(12))


def _font(size: int) -> Any:  # noqa: ANN401 - Pillow has two kinds
    return ImageFont.load_default(size)


def _name(group: str, trial: CommittedTrial) -> str:
    return f"{group}\n{trial.config.member}".replace(" / ", "\n", 1)


def _file_name(group: str, trial: CommittedTrial) -> str:
    """A name that says which model it is and is a file's name anywhere."""
    said = f"{group}-{trial.config.member}"
    return f"{re.sub('[^A-Za-z0-9@.]+', '-', said)[:80]}-{trial.trial_id}.png"


def _write(study: Study, name: str, image: Image.Image) -> None:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=4)
    study.write_bytes(f"{FOLDER}/{name}", buffer.getvalue())
