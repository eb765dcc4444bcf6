"""The bundle folder as people see it: what there is, and how two bundles differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from model.bundles.manifest import Manifest, chance_warning, read_manifest
from tidegate.errors import ConfigError

if TYPE_CHECKING:
    from model.bundles.bundle import Bundle
    from tidegate.profile import Profile

Change = tuple[object, object]


class Entry(NamedTuple):
    """A bundle, or what is wrong with its folder."""

    hash: str
    manifest: Manifest | None
    fault: str = ""


def entries(folder: Path) -> list[Entry]:
    """All bundles below `folder`, newest first, damaged ones last."""
    return sorted(map(_entry, matches(folder, "")), key=_newest_first)


def _newest_first(entry: Entry) -> tuple[int, str]:
    return -entry.manifest.created_us if entry.manifest else 0, entry.hash


def warning_of(folder: Path, bundle: str) -> str:
    """What to say of a bundle (hash) that is no better than chance; empty for any other, and for
    one that cannot be read.
    """
    manifest = _entry(folder / bundle).manifest
    return chance_warning(manifest) if manifest else ""


def _entry(path: Path) -> Entry:
    try:
        return Entry(path.name, read_manifest(path))
    except ConfigError as error:
        return Entry(path.name, None, str(error))


def find(folder: Path, prefix: str) -> Bundle:
    """The one bundle whose hash begins with `prefix`, read and checked.

    Raises ConfigError when there is none, or several.
    """
    paths = matches(folder, prefix)
    if len(paths) != 1:
        names = ", ".join(path.name for path in matches(folder, ""))
        raise ConfigError(
            f"{len(paths)} bundles in {folder} begin with {prefix!r}; there are "
            f"{names or 'none: run `tidegate train`'}"
        )
    from model.bundles.bundle import Bundle  # with numba, 0.6 s: who lists bundles does without

    return Bundle.load(paths[0])


def matches(folder: Path, prefix: str) -> list[Path]:
    """The folders of the bundles whose hash begins with `prefix`, without those that are being
    made or were set aside.
    """
    return sorted(
        path.parent
        for path in folder.glob("*/manifest.json")
        if path.parent.name.startswith(prefix) and not path.parent.name.startswith(".")
    )


def listing(folder: Path, champion: str, profile_hash: str) -> list[dict[str, Any]]:
    """All bundles, newest first: hash, what is wrong with it, profile, creation, metrics, a warning
    when it is no better than chance; whether it is the champion, and whether it was trained for
    this version of the profile.
    """
    return [
        {
            "bundle": entry.hash,
            "champion": entry.hash == champion,
            "fault": entry.fault,
            "profile": entry.manifest.profile if entry.manifest else "",
            "this_profile": bool(entry.manifest and entry.manifest.profile_hash == profile_hash),
            "created_us": entry.manifest.created_us if entry.manifest else 0,
            "metrics": entry.manifest.metrics if entry.manifest else {},
            "warning": chance_warning(entry.manifest) if entry.manifest else "",
        }
        for entry in entries(folder)
    ]


def may_score(manifest: Manifest, profile: Profile) -> bool:
    """Whether the bundle was trained for this version of the profile, by either of its names."""
    return manifest.profile_hash.encode() in (profile.hash, profile.version)


def promotable(bundle: Bundle, profile: Profile) -> None:
    """Raises ConfigError unless the bundle was trained for this version of the profile."""
    if not may_score(bundle.manifest, profile):
        raise ConfigError(
            f"bundle {bundle.hash} was trained for profile {bundle.manifest.profile} "
            f"{bundle.manifest.profile_hash}, the profile in use is {profile.hash.decode()}: "
            "train one for it with `tidegate train`"
        )


def usable(folder: Path, prefix: str, profile: Profile) -> Bundle:
    """The one bundle whose hash begins with `prefix`, if it may score for this version of the
    profile. Raises ConfigError.
    """
    bundle = find(folder, prefix)
    promotable(bundle, profile)
    return bundle


def differences(first: Manifest, second: Manifest) -> dict[str, Change]:
    """What differs, by name: both values, None where a bundle has no such thing."""
    left = _facts(first)
    right = _facts(second)
    return {
        name: (left.get(name), right.get(name))
        for name in left | right
        if left.get(name) != right.get(name)
    }


def _facts(manifest: Manifest) -> dict[str, object]:
    training = manifest.training
    facts: dict[str, object] = {
        "profile": f"{manifest.profile} {manifest.profile_hash}",
        "detectors": ", ".join(manifest.detectors),
        "history": training.source,
        "from_us": training.from_us,
        "to_us": training.to_us,
        "rows": sum(training.rows),
        "frauds": sum(training.frauds),
    }
    facts |= {f"threshold {name}": value for name, value in manifest.thresholds.items()}
    facts |= {f"metric {name}": value for name, value in manifest.metrics.items()}
    return facts | {f"feature {name}": "yes" for name in manifest.features}
