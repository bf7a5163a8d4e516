"""Threads to compute with: --threads, or the CPUs that a container gives its processes."""

import argparse
from pathlib import Path

import pytest

from florence2.cli.common import MAX_THREADS
from florence2.cli.main import COMMANDS, build_parser, main
from florence2.runtimes import cpus
from florence2.runtimes.cpus import cpu_quota, usable_cpus

V2 = "30 23 0:26 {root} {mount} rw,relatime - cgroup2 cgroup2 rw"
V1 = "32 31 0:29 {root} {mount} rw,relatime - cgroup cgroup rw,{controllers}"


def process(folder: Path, groups: str, *mounts: str) -> Path:
    """A folder such as /proc/self."""
    made = folder / "self"
    made.mkdir(parents=True)
    (made / "cgroup").write_text(groups + "\n")
    others = "22 27 0:21 / /proc rw,relatime - proc proc rw"
    (made / "mountinfo").write_text("\n".join([others, *mounts, ""]))
    return made


def group(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("cpu_", "cpu.", 1)).write_text(text + "\n")
    return folder


@pytest.mark.parametrize(
    ("written", "quota"),
    [
        ("max 100000", None),
        ("200000 100000", 2.0),
        ("150000 100000", 1.5),
        ("5000 100000", 0.05),
        ("", None),
        ("0 0", None),
    ],
)
def test_the_quota_of_a_container_is_read(
    written: str, quota: float | None, tmp_path: Path
) -> None:
    mount = group(tmp_path / "cgroup", cpu_max=written)
    here = process(tmp_path, "0::/", V2.format(root="/", mount=mount))
    assert cpu_quota(here) == quota


@pytest.mark.parametrize(
    ("quota", "written"), [(None, "-1"), (2.0, "200000"), (0.5, "50000"), (None, "")]
)
@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
def test_the_quota_of_version_1_is_read(
    quota: float | None, written: str, controllers: str, tmp_path: Path
) -> None:
    mount = tmp_path / "cgroup" / controllers
    group(mount / "docker" / "ab", cpu_cfs_quota_us=written, cpu_cfs_period_us="100000")
    mounted = V1.format(root="/", mount=mount, controllers=controllers)
    here = process(tmp_path, f"3:cpuset:/docker/ab\n2:{controllers}:/docker/ab\n0::/", mounted)
    assert cpu_quota(here) == quota


def test_a_group_inside_a_limited_one_is_limited(tmp_path: Path) -> None:
    mount = group(tmp_path / "cgroup", cpu_max="max 100000")
    group(mount / "user.slice", cpu_max="300000 100000")
    group(mount / "user.slice" / "job", cpu_max="max 100000")
    here = process(tmp_path, "0::/user.slice/job", V2.format(root="/", mount=mount))
    assert cpu_quota(here) == 3.0


@pytest.mark.parametrize("root", ["/docker/ab", "/docker", "/elsewhere"])
def test_a_mount_that_begins_inside_the_tree_is_read(root: str, tmp_path: Path) -> None:
    """Docker without a namespace of groups: the container sees its own group as the top."""
    mount = tmp_path / "cgroup"
    inside = mount / "ab" if root == "/docker" else mount
    group(inside, cpu_cfs_quota_us="250000", cpu_cfs_period_us="100000")
    mounted = V1.format(root=root, mount=mount, controllers="cpu")
    assert cpu_quota(process(tmp_path, "1:cpu:/docker/ab", mounted)) == 2.5


def test_what_cannot_be_read_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "none") is None
    mounts = ("", "1 2", "a - cgroup2", V2.format(root="/", mount=tmp_path / "gone"))
    assert cpu_quota(process(tmp_path, "nonsense", *mounts)) is None


@pytest.mark.parametrize(
    ("written", "allowed", "usable"),
    [
        ("max 100000", 8, 8),
        ("200000 100000", 8, 2),
        ("150000 100000", 8, 2),  # rounded up
        ("1000 100000", 8, 1),
        ("1600000 100000", 8, 8),  # never more than may be run on
    ],
)
def test_usable_cpus_are_allowed_ones_within_the_quota(
    written: str, allowed: int, usable: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpus, "allowed_cpus", lambda: allowed)
    mount = group(tmp_path / "cgroup", cpu_max=written)
    assert usable_cpus(process(tmp_path, "0::/", V2.format(root="/", mount=mount))) == usable


def test_a_process_may_not_use_more_cpus_than_it_is_allowed_on() -> None:
    assert 1 <= usable_cpus() <= cpus.allowed_cpus()


def test_every_command_that_computes_takes_threads() -> None:
    parser = build_parser()
    commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    taking = {
        name
        for name, each in commands.choices.items()
        if "--threads" in {flag for action in each._actions for flag in action.option_strings}
    }
    assert taking == {*COMMANDS} - {"data", "doctor"}


@pytest.mark.parametrize("count", [0, -1, MAX_THREADS + 1])
def test_numbers_of_threads_that_cannot_be_are_one_sentence(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "none.png", "--task", "od", "--threads", str(count)]) == 2
    assert f"--threads must be from 1 to {MAX_THREADS:,}" in capsys.readouterr().err


def test_threads_are_set_and_the_default_is_what_may_be_used(
    tiny_folder: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from florence2.runtimes.pytorch import threads

    asked = ["run", str(picture), "--task", "od", "--model", str(tiny_folder), "--device", "cpu"]
    asked += ["--max-new-tokens", "3"]
    assert main([*asked, "--threads", "3"]) == 0
    assert torch.get_num_threads() == 3
    monkeypatch.setattr(threads, "usable_cpus", lambda: 2)
    assert main(asked) == 0
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(threads, "usable_cpus", lambda: 64)
    assert main(asked) == 0
    assert torch.get_num_threads() == 2  # PyTorch's own number is not raised


def test_the_doctor_tells_how_many_cpus_may_be_used(
    tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(tiny_folder)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"processor: {usable_cpus()} of ") and "--threads" in last
