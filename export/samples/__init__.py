"""Three clips to try the program on, fetched or rendered into the cache."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export import files, stamp
from export.spec import Files
from export.weights import artifacts, fetch_all
from export.weights.cache import cache_folder, using_cache
from vemoclap_client.errors import OutputError


@dataclass(frozen=True)
class Sample:
    """One clip.

    Args:
        artifacts: names in the manifest of what it is made of.
        make: writes the clip to a path that ends in .mp4.
        module: whose change means that the clip is made anew.
    """

    artifacts: tuple[str, ...]
    make: Callable[[Files, Path], None]
    module: str


def _portrait(given: Files, path: Path) -> None:
    from export.samples import portrait

    portrait.render(given["sample_portrait"], given["sample_speech"], path)


def _bunny(given: Files, path: Path) -> None:
    shutil.copyfile(given["sample_bunny"], path)


def _title_card(given: Files, path: Path) -> None:
    from export.samples import title_card

    title_card.render(path)


SAMPLES = {
    "portrait": Sample(("sample_portrait", "sample_speech"), _portrait, "export.samples.portrait"),
    "bunny": Sample(("sample_bunny",), _bunny, "export.samples"),
    "title_card": Sample((), _title_card, "export.samples.title_card"),
}


def bring(folder: Path | None = None) -> list[Path]:
    """Return the clips' paths, making those that are not there yet.

    Args:
        folder: where they are to be; the cache, if None.

    Raises:
        WeightsError: what a clip is made of cannot be had, or the cache cannot be written.
        OutputError: the folder cannot be written. Clips that were there before stay.
    """
    with using_cache() if folder is None else _writing(folder):
        folder = folder or cache_folder() / "samples"
        folder.mkdir(parents=True, exist_ok=True)
        return [_bring(name, sample, folder) for name, sample in SAMPLES.items()]


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write clips into {folder} ({error}); free some space there, or choose a "
            "folder that can be written"
        ) from error


def _bring(name: str, sample: Sample, folder: Path) -> Path:
    path = folder / f"{name}.mp4"
    note = folder / f".{name}.made-from"
    made_from = _made_from(sample)
    if path.is_file() and note.is_file() and note.read_text(encoding="ascii") == made_from:
        return path
    print(f"making {path.name}", file=sys.stderr)
    with files.workspace(folder, ".making-") as workspace:
        unfinished = workspace / path.name
        sample.make(fetch_all(sample.artifacts), unfinished)
        unfinished.replace(path)
    note.write_text(made_from, encoding="ascii")
    return path


def _made_from(sample: Sample) -> str:
    made_from = stamp.sources([sample.module])
    made_from |= {name: artifacts()[name].sha256 for name in sample.artifacts}
    return "".join(f"{name} {checksum}\n" for name, checksum in made_from.items())
