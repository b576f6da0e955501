"""Prints what the environments hold, in megabytes by group: the table of docs/setup.md.

    python3.11 requirements/sizes.py

Counted are the files that the packages list, without the bytecode that Python writes later.
"""

from collections import Counter
from fnmatch import fnmatch
from importlib.metadata import Distribution, distributions
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
MEGABYTE = 1_000_000
REST = "everything else"
GROUPS = {
    "torch, torchvision, torchaudio": ["torch", "torchvision", "torchaudio"],
    "Triton Inference Server": ["nvidia-pytriton"],
    "CUDA libraries, and torch's compiler for GPUs": ["nvidia-*", "cuda-*", "triton"],
    "ONNX and ONNX Runtime": ["onnx*", "ml-dtypes"],
    "Whisper: CTranslate2": ["ctranslate2", "faster-whisper"],
    "OpenCV": ["opencv-*"],
    "text recognition: RapidOCR": ["rapidocr", "shapely", "pyclipper"],
    "transformers, tokenizers, timm": [
        "transformers",
        "tokenizers",
        "hf-xet",
        "timm",
        "huggingface*",
    ],
    "numpy, scipy, sympy": ["numpy", "scipy", "sympy"],
    "FFmpeg: PyAV": ["av"],
    "gRPC": ["grpcio", "tritonclient", "protobuf"],
    "links: yt-dlp, Deno": ["yt-dlp*", "deno"],
    "Streamlit, pyarrow, pandas, charts": [
        *("streamlit", "pyarrow", "pandas", "pydeck", "altair", "vl-convert-python", "narwhals"),
    ],
    "Ray": ["ray"],
    "tests and linters": [
        *("playwright", "mypy*", "ruff", "pytest*", "polars*", "duckdb", "kubectl*", "kubernetes*"),
        *("hadolint*", "check-jsonschema", "axe-*", "types-*", "oidc-*", "openapi-*", "trustme"),
    ],
    "docs: Sphinx": ["sphinx*", "babel", "docutils", "furo", "myst-parser", "snowballstemmer"],
}
"""Group -> patterns of packages' names; the first that fits counts."""
COLUMNS = {
    "`.venv`: `make demo`": (".venv", ["export"], []),
    "`make app` adds": (".venv", ["app"], ["export"]),
    "`.venv-server`: `make demo`": (".venv-server", ["server"], []),
    "`make setup-torchscript` adds": (".venv-server", ["torchscript"], ["server"]),
    "`.venv-development`": (".venv-development", [], []),
}
"""Heading -> environment, locks whose packages count (none: all there are), locks whose do not."""


def main() -> None:
    """Prints the table as Markdown; a column of an environment that is not there is left out."""
    columns = {
        heading: sizes(PROJECT / environment, locked(wanted), locked(others))
        for heading, (environment, wanted, others) in COLUMNS.items()
        if (PROJECT / environment).exists()
    }
    print("|", " | ".join(["MB", *columns]), "|")
    print("| --- |", " | ".join(["---:"] * len(columns)), "|")
    for group in (*GROUPS, REST):
        print_row(group, [column[group] for column in columns.values()])
    print_row("**together**", [sum(column.values()) for column in columns.values()])


def print_row(heading: str, sizes: list[int]) -> None:
    """Prints megabytes; less than half of one is nothing."""
    cells = [f"{size / MEGABYTE:,.0f}" for size in sizes]
    print("|", " | ".join([heading, *("" if cell == "0" else cell for cell in cells)]), "|")


def locked(names: list[str]) -> set[str]:
    """The packages that these requirements/NAME.txt pin."""
    lines = [(PROJECT / "requirements" / f"{name}.txt").read_text() for name in names]
    return {line.split("==")[0] for text in lines for line in text.splitlines() if "==" in line}


def sizes(environment: Path, wanted: set[str], others: set[str]) -> Counter[str]:
    """Group -> bytes of an environment's packages."""
    (packages,) = environment.glob("lib/python3*/site-packages")
    found: Counter[str] = Counter()
    for package in distributions(path=[str(packages)]):
        name = package.metadata["Name"].lower().replace("_", "-").replace(".", "-")
        if name not in others and (not wanted or name in wanted):
            found[group_of(name)] += size(package)
    return found


def group_of(name: str) -> str:
    """The group that a package counts for."""
    fitting = (g for g, patterns in GROUPS.items() if any(fnmatch(name, p) for p in patterns))
    return next(fitting, REST)


def size(package: Distribution) -> int:
    """Bytes of a package's files."""
    files = [Path(str(file.locate())) for file in package.files or []]
    return sum(file.lstat().st_size for file in files if file.suffix != ".pyc" and file.is_file())


if __name__ == "__main__":
    main()
