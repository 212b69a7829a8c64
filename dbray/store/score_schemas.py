"""Columns of the score tables."""

import pyarrow as pa

INTERVAL = ("low", "high", "standard_error", "degrees_of_freedom")  # beside a score


def _with_interval(*names: str) -> list[tuple[str, pa.DataType]]:
    """Columns of scores with their intervals; ``planes_only`` is the same for all of them."""
    ends = [f"{name}{end}" for name in names for end in ("", *(f"_{each}" for each in INTERVAL))]
    return [*((column, pa.float64()) for column in ends), ("planes_only", pa.bool_())]


SIMILARITY = pa.schema(
    [
        ("trial_a", pa.string()),
        ("trial_b", pa.string()),
        ("images", pa.int32()),
        ("disagreement", pa.float64()),
        ("expected_agreement", pa.float64()),
        ("error_overlap", pa.float64()),
        ("js_divergence", pa.float64()),
    ]
)
AGREEMENT = pa.schema(
    [
        ("trial_a", pa.string()),
        ("trial_b", pa.string()),
        ("kind", pa.string()),
        ("planes", pa.int32()),
        ("points", pa.int64()),
        ("agreements", pa.int64()),
        ("agreement", pa.float64()),
        ("kappa", pa.float64()),
        ("jaccard", pa.float64()),
    ]
)
AGREEMENT_BY_GROUP = pa.schema(
    [
        ("group_a", pa.string()),
        ("group_b", pa.string()),
        ("kind", pa.string()),
        ("agreement", pa.float64()),
        *((name, pa.float64()) for name in INTERVAL),
        ("planes_only", pa.bool_()),
        ("kappa", pa.float64()),
        ("jaccard", pa.float64()),
        ("pairs", pa.int32()),
        ("planes", pa.int32()),
    ]
)
FRAGMENTATION = pa.schema(
    [
        ("trial_id", pa.string()),
        ("kind", pa.string()),
        ("plane_id", pa.int32()),
        ("components", pa.int32()),
        ("classes_present", pa.int32()),
    ]
)
FRAGMENTATION_BY_GROUP = pa.schema(
    [
        ("group", pa.string()),
        ("kind", pa.string()),
        *_with_interval("components"),
        ("trials", pa.int32()),
        ("planes", pa.int32()),
    ]
)
LINE_MEANS = pa.schema(
    [
        ("trial_id", pa.string()),
        ("kind", pa.string()),
        ("margin", pa.float64()),
        ("skips", pa.float64()),
        ("censored", pa.float64()),
        ("images", pa.int32()),
        ("lines", pa.int32()),
    ]
)
LINES_BY_GROUP = pa.schema(
    [
        ("group", pa.string()),
        ("kind", pa.string()),
        *_with_interval("margin", "skips"),
        ("censored", pa.float64()),
        ("trials", pa.int32()),
        ("images", pa.int32()),
        ("lines", pa.int32()),
    ]
)
DISTILLATION = pa.schema(
    [
        ("teacher", pa.string()),
        ("student", pa.string()),
        ("loss", pa.string()),
        ("temperature", pa.float64()),
        *_with_interval("distilled", "from_labels", "difference"),
        ("students", pa.int32()),
        ("planes", pa.int32()),
    ]
)
CONTRASTS = pa.schema(
    [
        ("claim", pa.string()),
        ("name", pa.string()),
        ("decides", pa.bool_()),
        ("difference", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("standard_error", pa.float64()),
        ("degrees_of_freedom", pa.float64()),
        ("p", pa.float64()),
        ("p_holm", pa.float64()),
        ("level", pa.float64()),
        ("planes_only", pa.bool_()),
        ("seeds", pa.int32()),
        ("seeds_needed", pa.int32()),
    ]
)

RANDOMNESS = pa.schema(
    [
        ("architecture", pa.string()),
        ("source", pa.string()),
        *_with_interval("disagreement", "total_share", "first_order_share"),
        ("bases", pa.int32()),
        ("trials", pa.int32()),
        ("planes", pa.int32()),
    ]
)
ERRORS = pa.schema(
    [
        ("architecture", pa.string()),
        *_with_interval("error", "disagreement", "slope", "intercept"),
        ("pairs", pa.int32()),
        ("bases", pa.int32()),
        ("images", pa.int32()),
    ]
)
BETWEEN_SEEDS, OWN_END = "between seeds", "own end"  # measures along the training
ALONG_TRAINING = pa.schema(
    [
        ("group", pa.string()),
        ("epoch", pa.int32()),
        ("measure", pa.string()),
        *_with_interval("value"),
        ("trials", pa.int32()),
        ("planes", pa.int32()),
    ]
)
IMAGES = pa.schema(
    [
        ("group", pa.string()),
        ("image_id", pa.int32()),
        ("label", pa.int32()),
        ("models", pa.int32()),
        ("share_right", pa.float64()),
        ("disagreement", pa.float64()),
        ("classes", pa.list_(pa.int32())),
        ("counts", pa.list_(pa.int32())),
    ]
)
ENSEMBLES = pa.schema(
    [
        ("group", pa.string()),
        ("size", pa.int32()),
        ("measure", pa.string()),
        *_with_interval("value"),
        ("models", pa.int32()),
        ("images", pa.int32()),
    ]
)
BRANCHES = pa.schema(
    [
        ("architecture", pa.string()),
        ("what", pa.string()),
        ("branch_epoch", pa.int32()),
        *_with_interval("disagreement", "barrier", "barrier_matched"),
        ("bases", pa.int32()),
        ("planes", pa.int32()),
    ]
)

# Every score table by its name below ``scores/``.
SCORE_TABLES: dict[str, pa.Schema] = {
    "agreement": AGREEMENT,
    "agreement_by_group": AGREEMENT_BY_GROUP,
    "fragmentation": FRAGMENTATION,
    "fragmentation_by_group": FRAGMENTATION_BY_GROUP,
    "lines": LINE_MEANS,
    "lines_by_group": LINES_BY_GROUP,
    "similarity": SIMILARITY,
    "images": IMAGES,
    "ensembles": ENSEMBLES,
    "distillation": DISTILLATION,
    "randomness": RANDOMNESS,
    "errors": ERRORS,
    "along_training": ALONG_TRAINING,
    "branches": BRANCHES,
    "contrasts": CONTRASTS,
}
