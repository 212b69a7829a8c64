"""A user's own training, called: what it is given, what it may do wrong, what is put right."""

import math
import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import save_file

from dbray.config import OwnTrainingConfig
from dbray.errors import TrialFailedError, UserError
from dbray.own import recipe_of, train_own
from dbray.own.training import LONGEST_HISTORY, Place
from dbray.sources import OWN_SOURCES

SLEEPS = ["sleep", "600"]
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _path(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


def train(dataset, folder, name, *, factory="", seeds=None, on_epoch=None, **options):
    where = name if "{" in name else f"own_trainings:{name}"
    config = OwnTrainingConfig(
        dataset.name,
        dataset.fingerprint,
        where,
        "0" * 64,
        tuple(options.items()),
        **{f"{source}_seed": seed for source, seed in (seeds or {}).items()},
    )
    place = Place(torch.device("cpu"), folder / "work", folder / "output.log", factory=factory)
    return train_own(config, dataset, place, on_epoch)


def test_a_function_gets_seeds_options_and_a_way_to_report(digits, tmp_path):
    said = []
    found = train(digits, tmp_path, "good", on_epoch=said.append, hidden=5)
    assert [(r.epoch, r.train_loss, r.train_accuracy) for r in said] == [(1, 1, 0.5), (2, 0.5, 0.5)]
    assert math.isnan(said[0].test_accuracy)
    assert found.history == said
    assert found.model.model[1].out_features == 5
    assert not found.model.training


def test_seeds_decide_the_model(digits, tmp_path):
    def first(**seeds):
        found = train(digits, tmp_path, "ordered", seeds=dict.fromkeys(OWN_SOURCES, 0) | seeds)
        return torch.cat([p.detach().flatten() for p in found.model.parameters()])

    assert first(weights=1).equal(first(weights=1, order=2))
    assert not first(weights=1).equal(first(weights=2))


@pytest.mark.parametrize("name", ["one_seed", "with_factory", "probabilities"])
def test_what_a_training_may_be(digits, tmp_path, name):
    found = train(digits, tmp_path, name)
    logits = found.model(torch.zeros(2, 1, 8, 8))
    assert logits.shape == (2, 10)
    if name == "probabilities":
        assert found.model.reading.probabilities
        assert torch.allclose(logits.exp().sum(dim=1), torch.ones(2))
    assert found.factory == ("own_trainings:make" if name == "with_factory" else "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", r"own_trainings.py, line \d+: ZeroDivisionError: no such thing"),
        ("exits", "SystemExit: enough"),
        ("returns_weights", "returned OrderedDict; return the trained torch.nn.Module"),
        ("wrong_classes", r"logits of shape \(32, 7\) for 32 images"),
        ("not_finite", "its output is not finite"),
        ("random_answers", "answers otherwise when the same images come again"),
        ("with_a_nameless_factory", "cannot be found by that name"),
    ],
)
def test_what_goes_wrong_has_its_reason(digits, tmp_path, name, message):
    with pytest.raises(TrialFailedError, match=message):
        train(digits, tmp_path, name)


def test_what_it_printed_is_kept_with_its_traceback(digits, tmp_path, capfd):
    with pytest.raises(TrialFailedError):
        train(digits, tmp_path, "raises")
    printed = (tmp_path / "output.log").read_text()
    assert printed.startswith("about to fail\n")
    assert 'raise ZeroDivisionError("no such thing")' in printed
    assert capfd.readouterr().out == ""


def test_what_it_leaves_behind_is_put_right(digits, tmp_path):
    before = Path.cwd()
    train(digits, tmp_path, "untidy")
    assert Path.cwd() == before
    assert torch.get_default_dtype() == torch.float32
    assert torch.is_grad_enabled()
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == SLEEPS]
    assert (tmp_path / "output.log").read_text().splitlines() == ["left behind", "from a shell"]


def test_a_factory_that_builds_another_model_is_found_out(digits, tmp_path):
    with pytest.raises(TrialFailedError, match="factory fcnet: the trained weights"):
        train(digits, tmp_path, "good", factory="fcnet", hidden=5)
    same = train(digits, tmp_path, "good", factory="own_trainings:make", hidden=5)
    assert same.factory == "own_trainings:make"


def test_a_long_training_keeps_a_bounded_history(digits, tmp_path, monkeypatch):
    import own_trainings

    def long(seed, report):
        for epoch in range(3 * LONGEST_HISTORY):
            report(epoch)
        return own_trainings.one_seed(seed)

    monkeypatch.setattr(own_trainings, "good", long)
    history = train(digits, tmp_path, "good").history
    assert LONGEST_HISTORY / 2 <= len(history) <= LONGEST_HISTORY
    assert history[-1].epoch == 3 * LONGEST_HISTORY - 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("", ""),
        ("raise SystemExit(3)", "its command ended with status 3"),
        ("out = '/dev/null'", "has written no {checkpoint}"),
        ("weights.pop('1.bias')", "1 tensor is missing, 1.bias"),
    ],
)
def test_a_command_writes_weights(digits, tmp_path, code, message):
    from own_trainings import make

    torch.manual_seed(3)
    save_file(make((1, 8, 8), 10).state_dict(), tmp_path / "ready.safetensors")
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\nfrom safetensors.torch import load_file, save_file\n"
        f"seed, out = sys.argv[1:]\nweights = load_file({str(tmp_path / 'ready.safetensors')!r})\n"
        f"print('seed', seed)\n{code}\nsave_file(weights, out)\n"
    )
    command = f"{sys.executable} {script} {{seed}} {{checkpoint}}"
    asked = {"factory": "own_trainings:make", "seeds": dict.fromkeys(OWN_SOURCES, 4)}
    if message:
        with pytest.raises(TrialFailedError, match=message):
            train(digits, tmp_path, command, **asked)
    else:
        found = train(digits, tmp_path, command, **asked)
        torch.manual_seed(3)
        assert found.model.model[1].weight.equal(make((1, 8, 8), 10)[1].weight)
    assert (tmp_path / "output.log").read_text().startswith("seed 4\n")


def test_an_old_checkpoint_is_no_result(digits, tmp_path):
    """A killed process has left it, and the next one writes none."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "checkpoint").write_text("old")
    command = f"{sys.executable} -c pass {{seed}} {{checkpoint}}"
    with pytest.raises(TrialFailedError, match=r"has written no .checkpoint"):
        train(digits, tmp_path, command, factory="own_trainings:make")


@pytest.mark.parametrize("epochs", [LONGEST_HISTORY + 1, LONGEST_HISTORY + 2])
def test_the_last_epoch_stays_in_the_history(digits, tmp_path, monkeypatch, epochs):
    import own_trainings

    def long(seed, report):
        for epoch in range(epochs):
            report(epoch)
        return own_trainings.one_seed(seed)

    monkeypatch.setattr(own_trainings, "good", long)
    assert train(digits, tmp_path, "good").history[-1].epoch == epochs - 1


@pytest.mark.parametrize(
    ("train_by", "command", "options", "message"),
    [
        ("", "", (), "--train my_project.train:train or --command"),
        ("own_trainings:good", "x {seed}", (), "one of both"),
        ("own_trainings", "", (), "name a function as package.module:function"),
        ("own_trainings:none", "", (), "module own_trainings has no none"),
        ("no_such_module:none", "", (), "module no_such_module cannot be imported"),
        ("own_trainings:MAKER", "", (), "MAKER is no function but dict"),
        ("own_trainings:takes_nothing", "", (), "takes neither seeds nor seed"),
        ("own_trainings:needs_more", "", (), "needs momentum; give it as an option"),
        ("own_trainings:good", "", ("lr",), "has no argument lr; it takes hidden"),
        ("own_trainings:good", "", ("seeds",), "seeds is no option"),
        ("", "train {seed}", (), "has no {checkpoint}"),
        ("", "train {checkpoint}", (), "has no {seed}"),
        ("", "train {seed} {checkpoint} {lr}", (), "{lr} stands for nothing"),
        ("", "train {seed} {checkpoint}", ("lr",), "has no place {lr}"),
        ("", "train {seed {checkpoint}", (), "cannot be read"),
        ("", "train '{seed} {checkpoint}", (), "cannot be read: No closing quotation"),
    ],
)
def test_what_cannot_train_is_refused_in_one_line(train_by, command, options, message):
    with pytest.raises(UserError) as found:
        recipe_of(train_by, command, options)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_the_digest_is_of_the_code(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    digests = []
    for text in ("def train(seed): pass\n", "def train(seed): return None\n"):
        (tmp_path / "changing.py").write_text(text)
        sys.modules.pop("changing", None)
        digests.append(recipe_of("changing:train", "", ()).code_sha256)
        command = f"python {tmp_path / 'changing.py'} {{seed}} {{checkpoint}}"
        assert recipe_of("", command, ()).code_sha256 == digests[-1]
    assert digests[0] != digests[1]
