"""The report's part on single test images: those that models are most at odds about."""

from dbray.report.figures.contested import contested_chart
from dbray.report.page.page import Figure, Section
from dbray.report.tables.images import Contested, ContestedImage
from dbray.report.tables.tables import StudyTables


def images_section(contested: Contested, tables: StudyTables) -> Section | None:
    """The most contested test images with the classes that the models give them."""
    if not contested.shown:
        return None
    names = tables.info["dataset"]["class_names"]
    prose = [
        "On which images do models disagree that only chance sets apart? Images are "
        "ordered by how often two models of one group disagree. Beside a picture stands its class; "
        "the bar shows what all models of the study call it."
    ]
    said = _in_words(contested, names)
    figure = Figure("contested-images", contested_chart(contested.shown, names), said, scrolls=True)
    return Section("The most contested images", prose, [figure], folded=True)


def _in_words(contested: Contested, names: list[str]) -> str:
    first = contested.shown[0]
    share = contested.undisputed / contested.images
    return (
        f"Image {first.image_id} ({names[first.label]}) is contested most: two models of one group "
        f"disagree on it in {first.disagreement:.0%} of pairs; of {first.models} models, "
        f"{_votes(first, names)}. On {share:.1%} of the {contested.images:,} test images no two "
        "models of one group disagree."
    )


def _votes(image: ContestedImage, names: list[str]) -> str:
    return ", ".join(f"{count} say {names[of_class]}" for of_class, count in image.counts[:3])
