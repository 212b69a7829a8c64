"""Contrasts that a user names: the agreement within one group less that within another."""

from collections.abc import Collection, Sequence

from dbray.claims.contrasts import NAMED, SCORED_KIND, Asked, Claim, Contrast, less, within
from dbray.claims.names import display_name
from dbray.errors import UserError, one_line

MINUS = " - "


def check_contrasts(texts: Sequence[str], groups: Collection[str], kinds: Collection[str]) -> None:
    """Check that a study has what is to be compared.

    Raises
    ------
    UserError
        If a text is not of the form ``GROUP - GROUP``, or names a group that the study has not.
    """
    for text in texts:
        sides = _sides(text)
        unknown = [side for side in sides if side not in groups]
        if len(sides) != 2 or sides[0] == sides[1]:
            raise UserError(
                f"--contrast {one_line(text)!r}: write two groups with a minus sign between "
                "spaces, such as 'resnet - vgg'"
            )
        if unknown:
            known = ", ".join(sorted(groups)[:20])
            raise UserError(
                f"--contrast {one_line(text)!r}: this study has no group "
                f"{one_line(unknown[0])!r}; it has {known}"
            )
        if SCORED_KIND not in kinds:
            raise UserError("--contrast: compares agreement on test planes; add --plane-kinds test")


def named_claim(asked: Asked) -> Claim | None:
    """The contrasts that were named; None if none was."""
    if not asked.named:
        return None
    contrasts, lacking = [], []
    for text in asked.named:
        sides = _sides(text)
        few = [side for side in sides if side not in asked.repeated]
        lacking += [display_name(side) for side in few]
        if not few:
            above, below = sides
            name = f"{display_name(above)} \N{MINUS SIGN} {display_name(below)}"
            contrasts.append(Contrast(NAMED, name, less([within(above)], [within(below)])))
    missing = f"No two finished trials of {' or of '.join(lacking)}." if lacking else ""
    return Claim(NAMED, "The differences that this study was asked for.", tuple(contrasts), missing)


def _sides(text: str) -> list[str]:
    return [side.strip() for side in text.split(MINUS)]
