"""Whatever stands in a study's files, a look at it ends in a page or in one line."""

import copy
import json
import random
import shutil
from pathlib import Path

import pytest
from synthetic_study import write_synthetic_study

from dbray.errors import UserError
from dbray.report import build_report
from dbray.store import open_study_folder, scope_of, stale_tables

CHANCE = random.Random(20_261_125)
STRANGE = [None, True, -1, 2**70, 1e308, "", "\u0000", "x" * 5000, [], {}, [[]], {"a": {}}, "../.."]
ROUNDS = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    groups = {"vit": 0.5, "resnet": 0.8}
    place = tmp_path_factory.mktemp("made")
    return Path(write_synthetic_study(place, groups=groups, resolution=8).location)


def changed_json(data):
    """A JSON file with one value replaced, removed or added somewhere in it."""
    kind = CHANCE.randrange(6)
    if kind == 0:
        return b"[" * 100_000
    if kind == 1:
        return data[: CHANCE.randrange(len(data))]
    if kind == 2:
        return CHANCE.choice([b"", b"null", b"[]", b"\xff\xfe", b"{}", b"1e999", b'"text"'])
    value = json.loads(data)
    spots = list(places(value))
    holder, key = CHANCE.choice(spots)
    if kind == 3 and isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = copy.deepcopy(CHANCE.choice(STRANGE))
    return json.dumps(value).encode()


def places(value):
    """Every (container, key) in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, (dict, list)):
            yield from places(inner)


def changed_bytes(data):
    """Bytes with some flipped, cut or replaced."""
    damaged = bytearray(data)
    for _ in range(CHANCE.choice([1, 1, 30])):
        damaged[CHANCE.randrange(len(damaged))] ^= 1 << CHANCE.randrange(8)
    return bytes(damaged[: CHANCE.choice([None, len(damaged) // 2])])


def damage(folder):
    """Change one file of a study; what was done, for the message of a failure."""
    suffix = CHANCE.choice([".json", ".parquet"])
    files = sorted(folder.rglob(f"*{suffix}"))
    path = CHANCE.choice(files)
    data = path.read_bytes()
    path.write_bytes((changed_json if path.suffix == ".json" else changed_bytes)(data))
    return path.relative_to(folder), path.read_bytes()[:300]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_damaged_study_is_a_page_or_one_line(made, tmp_path, number):
    folder = tmp_path / "study"
    shutil.copytree(made, folder)
    done = damage(folder)
    lines = said_of(folder, page=number % 3 == 0)  # pages take their time
    assert lines <= 1, done


def said_of(folder, *, page):
    """Look at all of a study; lines of what is said if it cannot be."""
    try:
        study = open_study_folder(str(folder))
        inventory = study.inventory()
        study.wrong_files(inventory.committed)
        if inventory.committed:
            stale_tables(study, scope_of(study, inventory.committed), read_through=True)
        if page:
            build_report(study)
    except (UserError, OSError) as error:
        return len(str(error).splitlines())
    return 0


def test_a_folder_below_trials_whose_name_is_no_text_is_left_alone(made, tmp_path):
    folder = tmp_path / "study"
    shutil.copytree(made, folder)
    before = len(open_study_folder(str(folder)).committed())
    odd = bytes(folder / "trials") + b"/\xff\xfe"
    Path(odd.decode(errors="surrogateescape")).mkdir()
    (Path(odd.decode(errors="surrogateescape")) / "committed.json").write_text("{}")
    assert len(open_study_folder(str(folder)).committed()) == before
