"""Numbers and devices that no library can take are named in one sentence."""

from pathlib import Path

import pytest

from florence2.cli.main import main
from florence2.errors import ConfigError
from florence2.runtimes.select import choose_device
from florence2.training.options import MAX_SEED, FinetuneOptions, WeightedPath
from florence2_lab.cli.main import main as lab


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_seeds_that_no_generator_takes_are_refused(seed: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"seed {seed} must be from 0 to"):
        FinetuneOptions((WeightedPath("a.json"),), output=tmp_path, seed=seed)


def test_a_device_that_holds_no_numbers_is_refused() -> None:
    with pytest.raises(ConfigError, match="device 'meta' cannot be used"):
        choose_device("meta")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--seed", "-1"], "--seed must be from 0", id="seed"),
        pytest.param(["--side", "0"], "--side must be 16 or more", id="side"),
        pytest.param(["--side", "-5"], "--side must be 16 or more", id="negative side"),
    ],
)
def test_pictures_that_cannot_be_made_are_refused(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["worlds", "preview", "kit.zip", "--output", str(tmp_path / "a.png")]
    assert lab([*asked, *flags]) == 2
    assert message in capsys.readouterr().err


def test_any_number_of_pictures_may_be_the_most(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = ["calibrate", str(tmp_path / "none.json"), "--out", str(tmp_path / "c.json")]
    assert main([*asked, "--count", str(10**30)]) == 2
    assert "does not exist" in capsys.readouterr().err
