"""Fetch and unpack packages with the registries' ordinary clients, once, into a cache folder."""

import json
import logging
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
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


def fetch_npm(name: str, version: str, cache: Path) -> Package:
    """Fetch one npm package with `npm pack`."""
    folder = cache / "npm" / f"{name.replace('/', '__')}-{version}"
    if not (folder / "package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        logger.info("fetching npm %s %s", name, version)
        archive = _run(["npm", "pack", "--silent", f"{name}@{version}"], folder).split()[-1]
        with tarfile.open(folder / archive) as tar:
            for member in tar.getmembers():
                # Every npm archive holds one top folder, nearly always "package/".
                member.name = member.name.partition("/")[2]
                if member.isfile() and member.name:
                    tar.extract(member, folder, filter="data")
        (folder / archive).unlink()
    facts = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    return Package("npm", name, facts["version"], folder, str(facts.get("license", "")))


def fetch_debian(name: str, licence: str, cache: Path) -> Package:
    """Fetch one Debian package with `apt-get download`, at the version the system knows."""
    folder = cache / "debian" / name
    if not folder.exists():
        folder.mkdir(parents=True)
        logger.info("fetching debian %s", name)
        _run(["apt-get", "download", name], folder)
        archive = next(folder.glob("*.deb"))
        _run(["dpkg-deb", "-x", archive.name, "."], folder)
        version = _run(["dpkg-deb", "-f", archive.name, "Version"], folder).strip()
        (folder / "VERSION").write_text(version, encoding="utf-8")
        archive.unlink()
    version = (folder / "VERSION").read_text(encoding="utf-8")
    return Package("debian", name, version, folder, licence)


def fetch_pypi(name: str, version: str, licence: str, cache: Path) -> Package:
    """Fetch one wheel with `pip download`."""
    folder = cache / "pypi" / f"{name}-{version}"
    if not folder.exists():
        folder.mkdir(parents=True)
        logger.info("fetching pypi %s %s", name, version)
        requirement = f"{name}=={version}"
        _run(["python3", "-m", "pip", "download", "--no-deps", "-q", requirement], folder)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            wheel.extractall(folder)
    return Package("pypi", name, version, folder, licence)
