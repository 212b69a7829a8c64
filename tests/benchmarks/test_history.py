"""What a run of the benchmarks says against an older one; records here are made up."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks.history import (
    Record,
    append_record,
    begin_record,
    changes,
    comparison,
    newest,
    read_history,
)
from benchmarks.timing import Result
from dbray.errors import UserError

OURS = (1.00, 1.01, 1.03, 1.02, 1.05)
THEIRS = (2.00, 2.01, 2.10, 2.04, 2.02)


def result(ours=OURS, theirs=THEIRS, what="agreement", peer="NumPy"):
    return Result(what, ours, theirs, peer, ">= 1")


def record(*results, cpu="Xeon", date="2026-11-01T00:00:00Z", **fields):
    about = {"commit": "abc1234", "cores": 2, "versions": {"numpy": "2.4"}} | fields
    return Record(date=date, cpu=cpu, results=results or (result(),), **about)


def times(values, factor):
    return tuple(factor * value for value in values)


def told(before, now):
    return {
        (change.figure, change.verdict) for change in changes(before, now) if change.exceeds_noise
    }


def test_the_same_again_is_no_change():
    again = record(result(tuple(reversed(OURS)), tuple(reversed(THEIRS))))
    assert told(record(), again) == set()
    lines = list(comparison(record(), again))
    assert "the same hardware (Xeon, 2 cores)" in lines[0]
    assert lines[1] == "Changed by more than the noise of both: 0 of 2 figures"


@pytest.mark.parametrize(("factor", "verdict"), [(1.3, "slower"), (0.7, "faster")])
def test_what_takes_another_time_is_told_with_both_spreads(factor, verdict):
    now = record(result(times(OURS, factor)))
    assert told(record(), now) == {("ratio", verdict), ("seconds", verdict)}
    (seconds,) = (line for line in comparison(record(), now) if "seconds" in line)
    assert seconds.startswith(f"- {verdict}: agreement (NumPy): seconds 1.02 (1 to 1.05) then")
    assert seconds.endswith(f"{factor - 1:+.0%}")


def test_a_machine_that_is_slower_on_both_sides_changes_no_ratio():
    now = record(result(times(OURS, 1.5), times(THEIRS, 1.5)))
    assert told(record(), now) == {("seconds", "slower")}
    (line,) = (line for line in comparison(record(), now) if line.startswith("-"))
    assert line.endswith("+50%; the ratio did not: the machine, or what both use")


def test_a_change_within_the_noise_of_either_run_is_not_told():
    restless = (1.0, 1.6, 1.1, 1.5, 1.2)
    slower = record(result(times(OURS, 1.15)))
    assert told(record(result(restless)), slower) == set()
    assert told(slower, record(result(restless))) == set()
    assert ("seconds", "slower") in told(record(), slower)


def test_one_repetition_out_of_place_does_not_hide_a_change():
    disturbed = record(result((*OURS[:4], 1.31)))
    assert ("seconds", "slower") in told(disturbed, record(result(times(OURS, 1.3))))
    lost = record(result((*OURS[:4], 9.0)))  # this one might be what the others hide
    assert told(lost, record(result(times(OURS, 1.3)))) == set()


def test_a_difference_as_small_as_between_runs_of_the_same_code_is_not_told():
    close = record(result(times(OURS, 1.04), times(THEIRS, 1.04)))
    exact = record(result((1.0,) * 5, (2.0,) * 5))
    assert told(exact, record(result((1.04,) * 5, (2.0,) * 5))) == set()
    assert told(record(), close) == set()


def test_what_was_measured_once_is_shown_and_not_judged():
    now = record(result((3.0,), (2.0,)))
    assert told(record(), now) == set()
    lines = list(comparison(record(), now))
    assert "0 of 0 figures" in lines[1]
    assert lines[2].startswith("- not judged, too few repetitions: agreement (NumPy): ratio")
    assert lines[3].endswith("seconds 1.02 (1 to 1.05) then, 3 now")


def test_on_other_hardware_ratios_alone_are_compared_and_it_says_so():
    now = record(result(times(OURS, 3)), cpu="EPYC")
    assert told(record(), now) == {("ratio", "slower")}
    assert {change.figure for change in changes(record(), now)} == {"ratio"}
    first = next(comparison(record(), now))
    assert "other hardware (Xeon, 2 cores; here EPYC, 2 cores)" in first
    assert "seconds do not carry over" in first


def test_other_versions_and_benchmarks_that_one_run_lacks_are_said():
    before = record(result(), result(what="gone"), versions={"numpy": "2.3"})
    lines = list(comparison(before, record(result(), result(peer="another"))))
    assert "Other versions: numpy 2.3 then, 2.4 now" in lines
    assert lines[-1] == "Measured in one run alone: 1 benchmarks then, 1 now"


def test_the_newest_record_of_the_same_hardware_is_chosen():
    old, new = record(date="2026-11-01T00:00:00Z"), record(date="2026-11-03T00:00:00Z")
    elsewhere = record(cpu="EPYC", date="2026-11-05T00:00:00Z")
    now = record(date="2026-11-07T00:00:00Z")
    assert newest([new, old, elsewhere], now) is new
    assert newest([old, new, elsewhere], replace(now, cores=64)) is elsewhere
    assert newest([], now) is None


def test_a_history_is_a_line_a_run_and_reads_back(tmp_path):
    path = tmp_path / "history.jsonl"
    records = [record(), record(cpu="EPYC")]
    for one in records:
        append_record(path, one)
    assert read_history(path) == records
    first = json.loads(path.read_text().splitlines()[0])
    assert first["results"][0]["ratio"] == 2.0
    assert first["results"][0]["ratios"] == [2.0, 1.9901, 2.0388, 2.0, 1.9238]


def test_a_record_says_what_it_was_measured_on():
    here = begin_record()
    assert here.cores >= 1
    assert here.cpu
    assert {"python", "numpy", "torch", "numba"} <= set(here.versions)


@pytest.mark.parametrize("line", ["{", "{}", '{"date": 3}'])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    path = tmp_path / "history.jsonl"
    append_record(path, record())
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(UserError, match=r"history\.jsonl, line 2 is no record"):
        read_history(path)


def test_nothing_is_measured_where_there_is_nothing_to_compare_with(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "fragmentation", "--against"]
    missing = tmp_path / "none.jsonl"
    done = subprocess.run([*command, str(missing)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"error: {missing}: no record to compare with; make one with --record {missing}\n"
    )
