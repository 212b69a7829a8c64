"""What a study is asked: the paper's claims and a user's own, as contrasts, and their verdicts.

A claim names a few differences of scores beforehand. The jobs measure each with its interval, and
the verdict follows from these by one rule.
"""

from dbray.claims.contrasts import NAMED, Claim, Contrast, Key
from dbray.claims.named import check_contrasts
from dbray.claims.results import read_results
from dbray.claims.study_claims import asked_of, study_claims
from dbray.claims.verdicts import Result, Verdict, decided, verdict

__all__ = [
    "NAMED",
    "Claim",
    "Contrast",
    "Key",
    "Result",
    "Verdict",
    "asked_of",
    "check_contrasts",
    "decided",
    "read_results",
    "study_claims",
    "verdict",
]
