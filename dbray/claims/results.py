"""Measured contrasts as a study has them on storage."""

from dbray.claims.verdicts import Result
from dbray.errors import UserError
from dbray.store import Study
from dbray.store.score_schemas import CONTRASTS

PATH = "scores/contrasts.parquet"


def read_results(study: Study) -> list[Result]:
    """The contrasts of a scored study.

    Raises
    ------
    OSError
        If they are not there.
    UserError
        If they were written by another version.
    """
    table = study.read_table(PATH)
    if not table.schema.equals(CONTRASTS):
        raise UserError(
            f"{study.location}/{PATH}: has the columns of another version of dbray; run the "
            "study's command again, which scores its trials anew"
        )
    return [Result(**row) for row in table.to_pylist()]
