"""The contract of a study on storage: paths, schemas, commit, read."""

from dbray.store.check import state_folder
from dbray.store.folder import Folder
from dbray.store.identity import create_or_extend, planned_study, write_description
from dbray.store.label_maps import read_label_maps
from dbray.store.location import open_folder
from dbray.store.opening import open_study, open_study_folder, studies_in, study_at
from dbray.store.records import CommittedTrial, FailedTrial, FileRecord, Inventory, PlanesOf
from dbray.store.scope import Scope, is_scored, scope_of, stale_tables
from dbray.store.study import Study

__all__ = [
    "CommittedTrial",
    "FailedTrial",
    "FileRecord",
    "Folder",
    "Inventory",
    "PlanesOf",
    "Scope",
    "Study",
    "create_or_extend",
    "is_scored",
    "open_folder",
    "open_study",
    "open_study_folder",
    "planned_study",
    "read_label_maps",
    "scope_of",
    "stale_tables",
    "state_folder",
    "studies_in",
    "study_at",
    "write_description",
]
