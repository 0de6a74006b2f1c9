from __future__ import annotations

import hashlib
import json
import math
import pickle
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from envs.errors import InputError
from envs.true_state import PREVIEW_POINTS, TrueState
from pipeline import drivers, networks, protocol
from pipeline.drivers import SEES_STATE, artifact, sleep
from pipeline.drivers.__main__ import connect, main, timed
from pipeline.drivers.base import Options
from pipeline.link import Deadlines, Link, accept, listen
from pipeline.protocol import Frame
from tests.pipeline import samples

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
AHEAD = np.column_stack((2.5 * np.arange(1, PREVIEW_POINTS + 1), np.linspace(0.0, 3.0, PREVIEW_POINTS)))
STATE = TrueState(8.0, 0.3, -0.05, 0.01, AHEAD, np.full(PREVIEW_POINTS, 0.01))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    return samples.write(folder)["torch"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def artifact_of(runtime: str, weights: Path) -> tuple[Path | None, Options]:
    if runtime in drivers.SUFFIX:
        path = weights.with_suffix(drivers.SUFFIX[runtime])
        return path, Options(sha256=artifact.digest(path))
    return None, Options()


def frames(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (count, *protocol.FRAME_SHAPE), dtype=np.uint8)


class Started:
    """A driver process of `runtime`, connected to a world that is this test."""

    def __init__(self, runtime: str, weights: Path, folder: Path) -> None:
        path, options = artifact_of(runtime, weights)
        command = [sys.executable, "-m", "pipeline.drivers", "--runtime", runtime, "--model", "a"]
        command += ["--socket", folder / "s", "--threads", "1"]
        if path is not None:
            command += ["--artifact", path, "--sha256", options.sha256]
        with listen(folder / "s") as listener:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
            self.link: Link = accept(listener, Deadlines(), {"model": "a"})
        self.state = STATE.pack() if runtime in SEES_STATE else b""

    def commands(self, episode: int, pictures: NDArray[np.uint8]) -> list[tuple[float, float]]:
        self.link.reset(episode)
        return [tuple(self.link.ask(step, frame, self.state).command) for step, frame in enumerate(pictures)]  # type: ignore[misc]


@pytest.fixture(params=sorted(drivers.RUNTIMES))
def started(request: pytest.FixtureRequest, weights: Path, tmp_path: Path) -> Iterator[Started]:
    driver = Started(request.param, weights, tmp_path)
    yield driver
    driver.process.kill()
    driver.process.communicate()


def test_every_runtime_answers_in_range_repeats_itself_and_ends_with_exit_0(started: Started) -> None:
    pictures = frames(4)
    hello = started.link.hello
    assert hello.threads == 1
    assert hello.device == "cpu"
    assert hello.wants_state == bool(started.state)
    first = started.commands(0, pictures)
    assert all(-1.0 <= value <= 1.0 for command in first for value in command)
    assert started.commands(1, pictures) == first
    assert started.commands(2, pictures[::-1]) == first[::-1]
    started.link.end()
    _, log = started.process.communicate(timeout=60)
    assert (started.process.returncode, log) == (0, "")


def test_every_runtime_ends_with_a_line_when_the_world_goes_away(started: Started) -> None:
    started.commands(0, frames(1))
    started.link.close()
    _, log = started.process.communicate(timeout=60)
    assert (started.process.returncode, log) == (1, "driver a: the world went away: it closed the connection\n")


@pytest.mark.parametrize("runtime", sorted(drivers.RUNTIMES))
def test_every_runtime_refuses_a_bad_artifact_with_one_line_and_exit_3(
    runtime: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.bin"
    path.write_bytes(b"no model")
    assert main(["--runtime", runtime, "--model", "a", "--socket", "/nowhere", "--artifact", str(path)]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"driver a: {path}")


def test_every_runtime_has_a_role_and_a_module_that_loads() -> None:
    assert set(drivers.RUNTIME_ROLE) == set(drivers.RUNTIMES)
    assert set(drivers.RUNTIMES) >= SEES_STATE
    for name in drivers.RUNTIMES:
        assert callable(drivers.runtime(name).load)
    with pytest.raises(
        InputError,
        match=r"^there is no runtime 'onyx'; there are centreline, onnxruntime, openvino, sleep, torch, zero$",
    ):
        drivers.runtime("onyx")


@pytest.mark.parametrize("module", ["pipeline.protocol", "pipeline.drivers.__main__", *drivers.RUNTIMES.values()])
def test_importing_a_driver_loads_neither_simulator_nor_framework(module: str) -> None:
    heavy = ("pybullet", "cv2", "gymnasium", "torch", "docker", "pandas", "onnxruntime", "openvino")
    program = f"import sys, {module}; print(sorted(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_zero_never_steers() -> None:
    driver = drivers.runtime("zero").load(None, Options())
    assert {driver.command(frame, None).steering for frame in frames(3)} == {0.0}


def test_sleep_answers_as_the_oracle_does_and_never_before_its_time() -> None:
    oracle = drivers.runtime("centreline").load(None, Options())
    slow = drivers.runtime("sleep").load(None, Options())
    (frame,) = frames(1)
    start = time.perf_counter_ns()
    assert slow.command(frame, STATE) == oracle.command(frame, STATE)
    assert time.perf_counter_ns() - start >= sleep.INFERENCE_NS


def test_what_a_driver_claims_covers_its_whole_inference() -> None:
    slow = drivers.runtime("sleep").load(None, Options())
    inference_ns, _ = timed(slow, Frame(0, 9, STATE.pack(), frames(1)[0]))
    assert inference_ns >= sleep.INFERENCE_NS


def test_torch_reports_what_the_loaded_parameters_are(weights: Path) -> None:
    before = torch.get_num_threads()
    try:
        driver = drivers.runtime("torch").load(weights, Options(threads=1, sha256=sha256(weights)))
        report = driver.report()
    finally:
        torch.set_num_threads(before)
    assert (report.runtime, report.device, report.precision, report.threads) == ("torch", "cpu", "fp32", 1)
    assert report.runtime_version == torch.__version__
    driver._network.half()  # type: ignore[attr-defined]
    assert driver.report().precision == "fp16"


@pytest.mark.parametrize(("bias", "expected"), [(5.0, 1.0), (-5.0, -1.0), (math.nan, math.nan)])
def test_torch_clamps_its_outputs_and_lets_nan_through(weights: Path, bias: float, expected: float) -> None:
    driver: Any = drivers.runtime("torch").load(weights, Options(sha256=sha256(weights)))
    with torch.no_grad():
        driver._network.head[-1].bias.fill_(bias)
    command = driver.command(frames(1)[0], None)
    np.testing.assert_array_equal(command, [expected, expected])


def test_torch_computes_what_the_network_computes(weights: Path) -> None:
    driver = drivers.runtime("torch").load(weights, Options(sha256=sha256(weights)))
    (frame,) = frames(1)
    image = torch.from_numpy(frame.astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1.0)
    speed, steering = networks.load(weights)(image)[0].tolist()
    assert tuple(driver.command(frame, None)) == pytest.approx((speed, steering), abs=1e-5)


def run_with(path: Path, capsys: pytest.CaptureFixture[str], **options: str) -> tuple[int, str]:
    words = ["--runtime", "torch", "--model", "a", "--socket", "/nowhere", "--artifact", str(path)]
    for name, value in options.items():
        words += [f"--{name}", value]
    code = main(words)
    (line,) = capsys.readouterr().err.splitlines()
    return code, line


def damaged(kind: str, weights: Path) -> bytes:
    whole = weights.read_bytes()
    (length,) = struct.unpack_from("<Q", whole)
    if kind == "wrong shape":
        header = json.loads(whole[8 : 8 + length])
        header["head.0.weight"]["shape"].reverse()
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + whole[8 + length :]
    return {
        "pickle": pickle.dumps({"weights": [1.0]}),
        "zip": b"PK\x03\x04" + bytes(100),
        "empty": b"",
        "cut in its header": whole[: length // 2],
        "cut in its weights": whole[:-1000],
        "bytes left over": whole + b"x",
        "garbled header": whole[:8] + b"\xff" * length + whole[8 + length :],
        "header of a list": struct.pack("<Q", 2) + b"[]",
        "huge header": struct.pack("<Q", 1 << 62) + whole[8:],
    }[kind]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("pickle", "is a pickle, or an archive that may hold one; pickles can run code and are refused: save"),
        ("zip", "is a pickle, or an archive that may hold one; pickles can run code and are refused: save"),
        ("empty", "is cut short: 0 bytes are no safetensors file; make the artifact again"),
        ("cut in its header", "is cut short or no safetensors file: its header should have"),
        ("cut in its weights", "is cut short: its header promises 1008920 bytes of weights, 1007920 are there"),
        ("bytes left over", "has bytes left over: its header promises 1008920 bytes of weights, 1008921 are there"),
        ("garbled header", "its safetensors header makes no sense; make the artifact again"),
        ("header of a list", "its safetensors header makes no sense; make the artifact again"),
        ("huge header", "is cut short or no safetensors file: its header should have 4611686018427387904 bytes"),
        ("wrong shape", "tensor 'head.0.weight' has shape"),
    ],
)
def test_a_bad_artifact_is_one_line_and_exit_3(
    kind: str, text: str, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(damaged(kind, weights))
    code, line = run_with(path, capsys, sha256=sha256(path))
    assert code == 3
    assert line.startswith(f"driver a: {path}")
    assert text in line


def test_a_wrong_sum_a_missing_file_and_a_missing_device_are_one_line_and_exit_3(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = run_with(weights, capsys, sha256="0" * 64)
    assert code == 3
    assert line.endswith(f"has sha256 {sha256(weights)}, but {'0' * 64} was asked for; restore the file")
    code, line = run_with(tmp_path / "gone", capsys)
    assert code == 3
    assert "No such file or directory; check the manifest's path" in line
    code, line = run_with(weights, capsys, device="tpu")
    assert code == 3
    assert "asks for device 'tpu'; there are cpu and cuda" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_cuda_where_there_is_none_is_one_line_and_exit_3(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, line = run_with(weights, capsys, device="cuda")
    assert code == 3
    assert "asks for device cuda, but this PyTorch" in line


def test_a_runtime_that_needs_a_file_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runtime", "torch", "--model", "a", "--socket", "/nowhere"]) == 3
    assert "this runtime needs a model's file" in capsys.readouterr().err


@pytest.mark.parametrize("size", range(0x278, 0x590, 8))
def test_a_safetensors_file_whose_length_looks_like_a_pickles_start_is_none(size: int) -> None:
    assert not artifact.is_pickle(struct.pack("<Q", size) + b"{")


@pytest.mark.parametrize("version", range(2, 6))
def test_every_binary_pickle_is_known_as_one(version: int) -> None:
    assert artifact.is_pickle(pickle.dumps({"a": 1}, protocol=version)[:9])


def test_a_driver_waits_for_a_world_that_is_late_and_gives_up_at_last(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listeners: list[socket.socket] = []
    late = threading.Timer(0.1, lambda: listeners.append(listen(path)))
    late.start()
    connect(path).close()
    late.join()
    listeners[0].close()
    with pytest.raises(Exception, match=r"no world listens at .* after 0.05 s; start one first"):
        connect(path, timeout_s=0.05)
    with pytest.raises(Exception, match=r"cannot connect to the world at .*: AF_UNIX path too long"):
        connect(tmp_path / ("x" * 200))
