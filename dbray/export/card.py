"""The card of a data set on the Hugging Face hub: YAML that its viewer reads, then prose."""

from collections.abc import Mapping

import pyarrow as pa

from dbray.errors import one_line
from dbray.export.runs import Exported

Schemas = Mapping[str, tuple[str, pa.Schema, int]]  # by table: its files, columns and rows

DESCRIBED = {
    "trials": "one row a trained model: its group, its seed, its epoch, its config as JSON, its "
    "metrics",
    "history": "one row a model and epoch",
    "planes": "the planes: three images each, and where these lie on it",
    "anchors": "the three images of every plane",
    "label_maps": "one row a model and plane: the predicted class of its R x R points, row-major",
    "test_predictions": "one row a model and test image",
    "agreement": "every pair of models on one kind of planes",
    "agreement_by_group": "every pair of groups, with 95 % intervals",
    "fragmentation": "connected regions of every model's label map of every plane",
    "fragmentation_by_group": "their mean over a group, with 95 % intervals",
    "lines": "margins and class skips of every model",
    "lines_by_group": "their means over a group, with 95 % intervals",
    "similarity": "every pair of models on the test images",
    "images": "what the models of every group call every test image",
    "ensembles": "accuracy and churn of 1, 2 and 4 models together, with 95 % intervals",
    "distillation": "agreement of students with their teachers",
    "randomness": "what each source of randomness does alone, with 95 % intervals",
    "errors": "test error and disagreement of models that share no seed, with 95 % intervals",
    "along_training": "agreement at epochs before the end, with 95 % intervals",
    "branches": "how far trainings end from those that they part from, with 95 % intervals",
    "contrasts": "the differences that claims are made of, with 95 % intervals and p-values",
}


def dataset_card(study: Exported, schemas: Schemas) -> str:
    """``README.md`` with a config for every table."""
    data, planes = study.info["dataset"], study.info["planes"]
    header = ["---", f"pretty_name: {_quoted(study.info['title'])}", "tags:", "- dbray", "configs:"]
    for name, (files, _, _) in schemas.items():
        header += [f"- config_name: {name}", f"  data_files: {_quoted(files)}"]
        header += ["  default: true"] if name == "trials" else []
    header += ["dataset_info:", "- config_name: anchors", "  features:"]
    for field in schemas["anchors"][1]:
        kind = "image" if field.name == "png" else str(field.type)
        header += [f"  - name: {field.name}", f"    dtype: {kind}"]
    side = planes["resolution"]
    classes = one_line(", ".join(data["class_names"]), 5000)
    rows = [
        f"| `{name}` | {count:,} | {DESCRIBED[name]} |" for name, (_, _, count) in schemas.items()
    ]
    early = len(study.trials) - len(study.ends)
    on_the_way = (
        f"{early} trials more are states of them on their way (column `epoch`), in groups of their "
        "own; of the scores, `along_training` alone is of them. "
    )
    prose = [
        f"# {study.info['title']}",
        "",
        f"Decision regions of {len(study.ends)} classifiers of {data['name']}, measured by dbray "
        "after *Can Neural Nets Learn the Same Model Twice?* (Somepalli et al., CVPR 2022): every "
        f"model labels the same {side} x {side} points of the same planes through three images "
        f"each; R is {side}. {on_the_way if early else ''}Classes by number: {classes}. The "
        "study's page is `index.html`.",
        "",
        "| config | rows | contents |",
        "| --- | --- | --- |",
        *rows,
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        'trials = load_dataset("PATH/OR/NAME", "trials", split="train")',
        "```",
    ]
    return "\n".join([*header, "---", "", *prose, ""])


def _quoted(text: str) -> str:
    """A YAML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
