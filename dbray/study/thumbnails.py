"""The test images that a page shows, stored with the study: a page needs no data set."""

import pyarrow as pa

from dbray.datasets import Dataset
from dbray.planes import png_bytes
from dbray.report import THUMBNAILS_FILE, contested_ids
from dbray.store import Study
from dbray.store.schemas import THUMBNAILS, parquet_bytes


def write_thumbnails(study: Study, dataset: Dataset) -> None:
    """Store the most contested test images of a scored study, unless it has them."""
    wanted = contested_ids(study)
    if wanted == _stored(study):
        return
    rows = [{"image_id": i, "png": png_bytes(dataset.test_images[i])} for i in wanted]
    table = pa.Table.from_pylist(rows, schema=THUMBNAILS)
    study.write_bytes(THUMBNAILS_FILE, parquet_bytes(table))


def _stored(study: Study) -> list[int] | None:
    """Ids of the images that are stored; none where the file is missing or damaged."""
    try:
        ids: list[int] = study.read_table(THUMBNAILS_FILE)["image_id"].to_pylist()
    except OSError:
        return None
    return ids
