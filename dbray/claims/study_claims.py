"""Which claims a study can be held against."""

from dbray.claims.architectures import architecture_claims
from dbray.claims.branches import branch_claim
from dbray.claims.contrasts import Asked, Claim
from dbray.claims.distillation import distillation_claim
from dbray.claims.double_descent import double_descent_claims
from dbray.claims.named import named_claim
from dbray.claims.optimizers import optimizer_claim
from dbray.claims.randomness import VARIED, randomness_claims
from dbray.store.scope import Scope


def asked_of(scope: Scope) -> Asked:
    """What there is to compare in what is scored."""
    return Asked(
        trials=scope.groups(),
        kinds=tuple(scope.planes),
        across=not scope.within_groups,
        group_by=scope.group_by,
        named=scope.contrasts,
    )


def study_claims(asked: Asked) -> list[Claim]:
    """The contrasts that a user named, then the paper's claims that are about such a study."""
    named = named_claim(asked)
    return ([named] if named else []) + _of_the_paper(asked)


def _of_the_paper(asked: Asked) -> list[Claim]:
    by = list(asked.group_by)
    if by == ["architecture"]:
        return architecture_claims(asked)
    if by == ["architecture", "training.optimizer"]:
        return [optimizer_claim(asked)]
    if by == ["architecture", VARIED]:
        return [*randomness_claims(asked), branch_claim(asked)]
    if "distillation" in by:
        return [distillation_claim(asked)]
    if "noise" in by:
        return double_descent_claims(asked)
    return []
