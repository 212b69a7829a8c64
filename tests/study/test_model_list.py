"""Lists of models: what they take, and one line for what they do not."""

import time
from pathlib import Path

import pytest

from dbray.errors import UserError
from dbray.study.model_list import read_list

ROW = 'name = "{}"\nfactory = "fcnet"\nweights = "w.pt"\n'
ONE = f"[[model]]\n{ROW.format('a')}"


def listed(folder, text):
    path = folder / "models.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_list(path)


def test_what_an_entry_says(tmp_path):
    more = 'group = "g"\nkey = "ema"\noutput = 1\nprobabilities = true\nmean = 0\nstd = [0.1, 1]\n'
    (found,) = listed(tmp_path, ONE + more)
    assert (found.name, found.factory, found.group, found.key) == ("a", "fcnet", "g", "ema")
    assert found.weights == tmp_path / "w.pt"
    assert (found.output, found.probabilities) == ("1", True)
    assert (found.mean, found.std) == ((0.0,), (0.1, 1.0))
    (plain,) = listed(tmp_path, ONE)
    assert (plain.group, plain.key, plain.output, plain.mean) == ("fcnet", "", "", ())
    assert plain.probabilities is None


def test_a_byte_order_mark_and_a_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (found,) = listed(tmp_path, b"\xef\xbb\xbf" + ONE.replace("w.pt", "~/w.pt").encode())
    assert found.weights == tmp_path / "home" / "w.pt"


def test_a_list_of_very_many_models(tmp_path):
    started = time.monotonic()
    rows = [f"[[model]]\n{ROW.format(number)}" for number in range(20_000)]
    assert len(listed(tmp_path, "".join(rows))) == 20_000
    assert time.monotonic() - started < 30
    with pytest.raises(UserError, match="two models are called 7;"):
        listed(tmp_path, "".join([*rows, rows[7]]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no models"),
        ("model = []", "lists no models"),
        ("model = 3", r"must be tables \[\[model\]\], not int"),
        ("model = [1]", r"model 1: must be a table \[\[model\]\], not int"),
        (ONE.replace("[[model]]", "[model]"), r"write \[\[model\]\] with two brackets"),
        (ONE.replace("[[model]]", "[[models]]"), r"has 'models', which means nothing"),
        (f"seed = 3\n{ONE}", r"has 'seed', which means nothing"),
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deep|no TOML list"),
        ("name = ", "is no TOML list"),
        ("a = " + "1" * 5000, "is no TOML list"),
        (ONE.encode("utf-16"), "is no UTF-8 text"),
        (ONE.replace('"a"', '"\xe9"').encode("latin-1"), "is no UTF-8 text"),
        ("[[model]]\nname = 3", "model 1 has no factory"),
        (ONE.replace('"a"', "3"), "model 1: name must be a text"),
        (ONE.replace('"a"', '" "'), "model 1: name must be a text"),
        (ONE.replace('"a"', r'"a\u001b[31m"'), "characters that are not printed"),
        (ONE.replace('"a"', r'"a\nb"'), "characters that are not printed"),
        (ONE.replace("fcnet", "nothing"), "architecture 'nothing' is unknown"),
        (ONE.replace("fcnet", "timm:resnet18@2"), "no width to choose"),
        (ONE.replace("fcnet", "timm:hf-hub:timm/resnet18"), "nothing is fetched"),
        (ONE.replace("fcnet", "timm:local-dir:/tmp"), "nothing is fetched"),
        (ONE.replace("w.pt", "~nobody_of_this_name/w.pt"), "weights ~nobody"),
        ('[[model]]\nname = "a"\nfactory = "fcnet"', "model 1 has no weights"),
        (f'{ONE}width = "2"', "has width, which means"),
        (f"{ONE}output = -1", "output must be a name, or a place"),
        (f"{ONE}output = true", "output must be a name, or a place"),
        (f"{ONE}key = 3", "key must be a text"),
        (f'{ONE}probabilities = "yes"', "probabilities must be true or false"),
        (f"{ONE}mean = 0.5", "has mean but no std"),
        (f"{ONE}std = 0.5", "has std but no mean"),
        (f"{ONE}mean = 0\nstd = 0", "std must be above 0"),
        (f"{ONE}mean = nan\nstd = 1", "mean must be a number"),
        (f"{ONE}mean = []\nstd = 1", "mean must be a number"),
        (f"{ONE}mean = true\nstd = 1", "mean must be a number"),
        (f"{ONE}mean = 0\nstd = [1, inf]", "std must be a number"),
        (f"{ONE}{ONE}", "two models are called a;"),
    ],
)
def test_lists_that_cannot_be(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        listed(tmp_path, text)
    assert str(caught.value).isprintable()


def test_lists_that_are_not_there(tmp_path):
    for path in (tmp_path / "nowhere.toml", tmp_path, Path(tmp_path, "n" * 300)):
        with pytest.raises(UserError, match="cannot be read"):
            read_list(path)
