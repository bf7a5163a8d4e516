"""Fetch and unpack packages with the registries' ordinary clients, once, into a cache folder."""

import json
import logging
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from florence2.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """One unpacked package of a registry."""

    registry: str  # "npm", "pypi" or "debian"
    name: str
    version: str
    folder: Path
    licence: str  # as the package states it


def _run(command: Sequence[str], folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except OSError as error:
        raise DataError(
            f"{command[0]!r} cannot be run ({error.strerror}); install it, the kit is built with it"
        ) from None
    except subprocess.CalledProcessError as error:
        raise DataError(
            f"{' '.join(command)!r} failed: {error.stderr.strip()[-300:]}; is the registry "
            "reachable from here?"
        ) from None
    return done.stdout


def _once(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder unless it is there; one that a broken-off run left half full is redone."""
    if folder.exists():
        return
    logger.info("fetching %s", folder.name)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    fill(partial)
    partial.rename(folder)


def fetch_npm(name: str, version: str, cache: Path) -> Package:
    """Fetch one npm package with `npm pack`."""

    def fill(folder: Path) -> None:
        archive = (
            folder / _run(["npm", "pack", "--silent", f"{name}@{version}"], folder).split()[-1]
        )
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                # Every npm archive holds one top folder, nearly always "package/".
                member.name = member.name.partition("/")[2]
                if member.isfile() and member.name:
                    tar.extract(member, folder, filter="data")
        archive.unlink()

    folder = cache / "npm" / f"{name.replace('/', '__')}-{version}"
    _once(folder, fill)
    facts = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    return Package("npm", name, facts["version"], folder, str(facts.get("license", "")))


def fetch_debian(name: str, licence: str, cache: Path) -> Package:
    """Fetch one Debian package with `apt-get download`, at the version the system knows."""

    def fill(folder: Path) -> None:
        _run(["apt-get", "download", name], folder)
        archive = next(folder.glob("*.deb"))
        _run(["dpkg-deb", "-x", archive.name, "."], folder)
        version = _run(["dpkg-deb", "-f", archive.name, "Version"], folder).strip()
        (folder / "VERSION").write_text(version, encoding="utf-8")
        archive.unlink()

    folder = cache / "debian" / name
    _once(folder, fill)
    version = (folder / "VERSION").read_text(encoding="utf-8")
    return Package("debian", name, version, folder, licence)


def fetch_pypi(name: str, version: str, licence: str, cache: Path) -> Package:
    """Fetch one wheel with `pip download`."""

    def fill(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "-q"]
        _run([*pip, f"{name}=={version}"], folder)
        archive = next(folder.glob("*.whl"))
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
        archive.unlink()

    folder = cache / "pypi" / f"{name}-{version}"
    _once(folder, fill)
    return Package("pypi", name, version, folder, licence)
