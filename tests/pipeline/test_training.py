from __future__ import annotations

import math
import subprocess
import sys
import tomllib
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from envs import circuit as circuits
from envs.command import Command
from envs.errors import HarnessError, InputError
from pipeline import manifest, networks
from pipeline.training import __main__ as program
from pipeline.training import cache, collect, fit, row, schedule
from pipeline.training import dataset as data
from pipeline.training.pilot import Nudges, answer
from pipeline.training.schedule import Stage

if TYPE_CHECKING:
    from pathlib import Path

STAGE = Stage("expert", 100, network_drives=False, passes=64, peak_rate=1e-3, last_rate=1e-4)

ROW: dict[str, str | int | float | bool] = {
    "name": "pilotnet",
    "runtime": "torch",
    "artifact": "pilotnet.safetensors",
    "sha256": "0" * 64,
    "precision": "fp32",
    "how": 'a "quoted" command \\ with a backslash',
    "seed": 1,
    "offline_mse": 1e-05,
    "description": "A row.",
}


def stripes(count: int, seed: int) -> data.Dataset:
    """A white stripe whose place is the steering and whose height is the speed."""
    generator = np.random.default_rng(seed)
    steering, speed = generator.uniform(-0.5, 0.5, count), generator.uniform(-0.5, 0.5, count)
    frames = np.full((count, networks.HEIGHT, networks.WIDTH, 3), 60, np.uint8)
    for frame, place, height in zip(frames, steering, speed, strict=True):
        column = round(100 - 160 * place)
        frame[round(33 - 50 * height) :, max(0, column - 8) : column + 8] = 220
    return data.Dataset(frames, np.column_stack((speed, steering)).astype(np.float32))


# the data set


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    data.create(tmp_path, 5)
    made = stripes(5, seed=1)
    target = data.attach(tmp_path, write=True)
    target.frames[:], target.labels[:] = made.frames, made.labels
    found = data.attach(tmp_path)
    np.testing.assert_array_equal(found.frames, made.frames)
    np.testing.assert_array_equal(found.part(1, 3).labels, made.labels[1:3])


def test_mirrored_frames_get_mirrored_steering_and_the_same_speed() -> None:
    made = stripes(4, seed=2)
    which = np.array([True, False, True, False])
    frames, labels = data.flipped(made.frames, made.labels, which)
    np.testing.assert_array_equal(frames[which], made.frames[which, :, ::-1])
    np.testing.assert_array_equal(frames[~which], made.frames[~which])
    np.testing.assert_array_equal(labels[:, data.SPEED], made.labels[:, data.SPEED])
    np.testing.assert_array_equal(labels[:, data.STEERING], made.labels[:, data.STEERING] * np.where(which, -1, 1))


def test_jitter_stays_in_range_and_changes_each_image_differently() -> None:
    images = data.jittered(torch.zeros(3, 3, 66, 200), np.random.default_rng(3))
    assert float(images.abs().max()) <= 1.0
    assert len({round(float(image.mean()), 4) for image in images}) == 3


def test_an_epoch_shows_each_frame_once() -> None:
    made = data.Dataset(np.zeros((10, 66, 200, 3), np.uint8), np.zeros((10, 2), np.float32))
    made.labels[:, data.SPEED] = range(10)
    given = torch.cat([labels for _, labels in data.batches(made, 5, 20, np.random.default_rng(0))])
    assert len(given) == 20
    assert sorted(given[:10, data.SPEED].tolist()) == sorted(given[10:, data.SPEED].tolist()) == list(range(10))


# the cache


def test_the_frames_go_with_the_run_and_with_them_those_of_a_killed_run(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "frames.npy").write_bytes(b"x")
    with cache.folder(tmp_path) as first:
        with cache.folder(tmp_path) as second:
            (second / "frames.npy").write_bytes(b"x")
            assert sorted(tmp_path.iterdir()) == sorted([first, second])
        assert list(tmp_path.iterdir()) == [first]
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot keep frames there"), cache.folder(tmp_path / "file" / "folder"):
        pass


# the fit


def test_a_fit_learns() -> None:
    fit.seed_everything(1, threads=1)
    network = networks.build("pilotnet")
    told: list[str] = []
    stage = replace(STAGE, passes=1600, peak_rate=2e-3)
    fit.fit(network, stripes(200, seed=4), stage, 32, generator=np.random.default_rng(1), say=told.append)
    speed, steering = fit.errors(network, stripes(50, seed=5))
    # Answering with the mean would be off by 0.29 in both; speed counts little in the loss and comes later.
    assert steering < 0.15
    assert speed < 0.29
    assert told[-1].startswith("expert: fit 100 %")
    assert not network.training


def test_the_same_seed_gives_the_same_network() -> None:
    found = []
    for _ in range(2):
        fit.seed_everything(5, threads=1)
        network = networks.build("pilotnet")
        fit.fit(network, stripes(40, seed=6), STAGE, 16, generator=np.random.default_rng(5), say=lambda _: None)
        found.append(torch.cat([parameter.detach().flatten() for parameter in network.parameters()]))
    assert torch.equal(found[0], found[1])


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [fit.learning_rate(STAGE, step, 100) for step in range(1, 101)]
    assert rates[4] == max(rates) == STAGE.peak_rate
    assert rates[-1] == pytest.approx(STAGE.last_rate)
    assert all(later < earlier for earlier, later in pairwise(rates[4:]))


def test_the_loss_weighs_the_outputs() -> None:
    loss = fit.weighted_loss(torch.tensor([[0.5, 0.0], [0.0, 0.1]]), torch.zeros(2, 2), torch.tensor([1.0, 30.0]))
    assert float(loss) == pytest.approx((0.25 + 0.3) / 4)


def test_the_schedule_scales_with_the_minutes_alone() -> None:
    assert schedule.full() is schedule.FULL
    short, long = schedule.full(5), schedule.full(10)
    assert short.frames == long.frames == schedule.FULL.frames
    for less, more in zip(short.stages, long.stages, strict=True):
        assert more.passes == pytest.approx(2 * less.passes, abs=2)
    assert sum(stage.passes for stage in long.stages) == pytest.approx(600 * schedule.FRAMES_PER_SECOND, rel=1e-3)


def test_the_full_schedule_aggregates_at_least_twice() -> None:
    assert sum(stage.network_drives for stage in schedule.FULL.stages) >= 2
    assert schedule.FULL.stages[-1].last_rate == 0.0


# the nudges


def test_nudges_come_stay_a_while_and_go() -> None:
    nudges = Nudges(np.random.default_rng(1), 20.0, half_width=3.0)
    given = [nudges.on(Command(0.2, 0.0), offset=0.0).steering for _ in range(2000)]
    pushed = np.count_nonzero(given)
    assert 0.1 < pushed / len(given) < 0.4
    assert max(map(abs, given)) <= 0.16


def test_no_nudge_while_far_from_the_centreline() -> None:
    nudges = Nudges(np.random.default_rng(1), 20.0, half_width=3.0)
    assert {nudges.on(Command(0.2, 0.1), offset=2.5) for _ in range(500)} == {Command(0.2, 0.1)}


def test_a_nudged_command_stays_a_command() -> None:
    nudges = Nudges(np.random.default_rng(2), 20.0, half_width=3.0)
    for _ in range(500):
        assert all(-1.0 <= part <= 1.0 for part in nudges.on(Command(-1.0, 1.0), offset=0.0))


def test_the_answer_is_clamped_and_lets_nan_through() -> None:
    network = networks.build("pilotnet").eval()
    frame = np.zeros((66, 200, 3), np.uint8)
    with torch.no_grad():
        network.head[-1].bias.copy_(torch.tensor([9.0, float("nan")]))  # type: ignore[union-attr, operator, index]
    speed, steering = answer(network, frame)
    assert speed == 1.0
    assert math.isnan(steering)


# collecting


def test_a_plan_fills_all_frames_once_and_mixes_everything(tmp_path: Path) -> None:
    stage = replace(STAGE, frames=20_010)
    drives = collect.plan(
        stage, schedule.FULL, ["a", "b", "c"], first=700, seed=3, network=tmp_path / "network.safetensors"
    )
    frames = [frame for drive in drives for frame in range(drive.first, drive.first + drive.count)]
    assert frames == list(range(700, 20_710))
    seen = {(drive.circuit.partition("+")[0], drive.direction, drive.conditions) for drive in drives}
    assert len(seen) == 3 * 2 * 2
    painted = {drive.circuit.partition("+")[2] for drive in drives}
    assert painted == {"", *collect.PAINTS, *collect.LANES}
    assert sum("+" in drive.circuit for drive in drives) == pytest.approx(len(drives) / 2, abs=2)
    assert len({drive.seed for drive in drives}) == len(drives)
    share = sum(drive.conditions == "nominal" for drive in drives) / len(drives)
    assert share == pytest.approx(schedule.FULL.nominal_share, abs=0.05)


def test_a_generated_track_keeps_the_line_that_shows_its_centre() -> None:
    drives = collect.plan(
        replace(STAGE, frames=20_000), schedule.FULL, ["generated:100001:2000"], first=0, seed=3, network=None
    )
    assert {drive.circuit.partition("+")[2] for drive in drives} == {"", *collect.PAINTS}


def test_every_variant_of_every_training_circuit_is_a_road() -> None:
    for name in circuits.names("training"):
        for variant in (*collect.PAINTS, *collect.LANES):
            assert circuits.load(f"{name}+{variant}").length > 100.0


def _drive(network: Path | None = None, count: int = 30) -> collect.Drive:
    name = circuits.names("training")[0]
    return collect.Drive(name, "reverse", "varied", seed=17, first=2, count=count, network=network)


def test_a_drive_writes_its_own_frames_with_the_experts_answers(tmp_path: Path) -> None:
    found = []
    for turn in range(2):
        folder = tmp_path / str(turn)
        folder.mkdir()
        data.create(folder, 34)
        collect.work([_drive()], folder, stride=4)
        found.append(data.attach(folder))
    np.testing.assert_array_equal(found[0].frames, found[1].frames)
    np.testing.assert_array_equal(found[0].labels, found[1].labels)
    assert not found[0].frames[[0, 1, 32, 33]].any()
    assert found[0].frames[2:32].any(axis=(1, 2, 3)).all()
    assert np.abs(found[0].labels).max() <= 1.0
    assert found[0].labels[2:32, data.STEERING].std() > 0.0


def test_a_drive_of_a_network_is_labelled_by_the_expert(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    torch.manual_seed(1)
    networks.save(networks.build("pilotnet"), path, {"architecture": "pilotnet"})
    data.create(tmp_path, 34)
    collect.work([_drive(path)], tmp_path, stride=2)
    found = data.attach(tmp_path)
    speed, steering = fit.errors(networks.load(path), data.Dataset(found.frames[2:32], found.labels[2:32]))
    assert speed > 0.1  # a network that knows nothing says something else
    assert steering > 0.05


def test_a_process_that_dies_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="a process ended with"):
        collect.collect([_drive()], tmp_path, stride=4, workers=1)  # no data set was made there


def test_training_and_benchmark_circuits_are_apart() -> None:
    assert len(circuits.names("training")) >= 6
    assert not set(circuits.names("training")) & set(circuits.names("benchmark"))


# the row


def test_a_row_is_added_and_the_rest_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    before = '# A comment.\n\n[[model]]\nname = "zero"\nruntime = "zero" # why\n'
    path.write_text(before)
    row.write(path, ROW)
    assert path.read_text().startswith(before)
    assert tomllib.loads(path.read_text())["model"] == [{"name": "zero", "runtime": "zero"}, ROW]


def test_a_row_is_replaced_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text('[[model]]\nname = "pilotnet"\nseed = 4\n\n[[model]]\nname = "zero"\n# last\n')
    for _ in range(2):
        row.write(path, ROW)
        assert tomllib.loads(path.read_text())["model"] == [ROW, {"name": "zero"}]
        assert path.read_text() == row.block_of(ROW) + '\n[[model]]\nname = "zero"\n# last\n'


def test_a_manifest_is_made_where_there_is_none(tmp_path: Path) -> None:
    row.write(tmp_path / "manifest.toml", ROW)
    assert tomllib.loads((tmp_path / "manifest.toml").read_text()) == {"model": [ROW]}


@pytest.mark.parametrize("text", ["[[model", 'model = [{name = "pilotnet"}]', '[["model"]]\nname = "a"\n'])
def test_a_manifest_that_cannot_be_told_apart_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifest.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"manifest\.toml") as told:
        row.write(path, ROW)
    assert "\n" not in str(told.value)
    assert path.read_text() == text


# the command


@pytest.mark.parametrize("words", [["--seed", "one"], ["--seed", "-1"], ["--seed", "2147483648"], ["--minutes", "0"]])
def test_a_wrong_number_is_a_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(words)
    assert ended.value.code == 2
    assert "give" in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert program.main(["--out", str(blocked / "folder")]) == 3
    assert capsys.readouterr().err.count("\n") == 1


def test_a_broken_manifest_is_told_before_the_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "manifest.toml").write_text("[[model")
    assert program.main(["--out", str(tmp_path)]) == 3
    assert "is not TOML" in capsys.readouterr().err


def test_the_row_of_an_artifact_that_training_did_not_make_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    networks.save(networks.build("pilotnet"), tmp_path / "pilotnet.safetensors", {"architecture": "pilotnet"})
    assert program.main(["--row-only", "--out", str(tmp_path)]) == 3
    assert "does not say how it was made" in capsys.readouterr().err


@pytest.mark.slow
def test_a_smoke_run_makes_a_model_that_the_manifest_reader_takes(tmp_path: Path) -> None:
    words = ["--smoke", "--seed", "3", "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.training", *words],
        cwd=manifest.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = manifest.load(tmp_path / "manifest.toml")
    assert (found.name, found.parameters, found.seed) == ("pilotnet", 252_230, 3)
    assert found.how == "hotlap train --seed 3 --smoke"
    assert found.offline_mse is not None
    assert 0.0 < found.offline_mse < 1.0
    before = (tmp_path / "manifest.toml").read_text()
    (tmp_path / "manifest.toml").unlink()
    assert program.main(["--row-only", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "manifest.toml").read_text() == before


def test_the_committed_model_is_the_one_its_row_describes() -> None:
    found = manifest.find(manifest.load(), "pilotnet")
    assert found.path is not None
    network = networks.load(found.path)
    assert networks.count_parameters(network) == found.parameters == 252_230
    assert networks.read_metadata(found.path)["seed"] == str(found.seed)
