"""Measured contrasts as a study has them on storage."""

from dbray.claims.verdicts import Result
from dbray.store import Study
from dbray.store.scope import check_columns


def read_results(study: Study) -> list[Result]:
    """The contrasts of a scored study.

    Raises
    ------
    OSError
        If they are not there.
    UserError
        If they were written by another version.
    """
    table = study.read_table("scores/contrasts.parquet")
    check_columns(study, "contrasts", table.schema)
    return [Result(**row) for row in table.to_pylist()]
