"""Starts the servers that are measured: this checkout's, and that of another commit."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from export import stamp
from export.options import Options
from tests.benchmark.fixed_decisions import fixed_copy, is_random
from tests.benchmark.load import Server, connect
from tests.launching import PROJECT, launched
from vemoclap_client.files import link_or_copy

REFERENCE = "image_encoder"
"""A slot of every profile: it tells how a repository was filled."""
BUILD = PROJECT / "build" / "bench"
"""What is kept between runs: exports of other commits, copies with fixed decisions."""
EMBEDDED_REPOSITORY = "model_repository"


class NotServedError(Exception):
    """A server does not start; the message has its own reason."""


class BaselineError(Exception):
    """The other commit cannot be measured; the message says why."""


@contextmanager
def served(
    subject: str, repository: Path, project: Path = PROJECT, arguments: Sequence[str] = ()
) -> Iterator[Server]:
    """A ready server of the code in `project`, on its own free ports.

    Raises:
        NotServedError: it does not start.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vemoclap-bench-"))
        options: list[str | Path] = ["--model-repository", repository, *arguments]
        try:
            running = stack.enter_context(launched(Path(folder), options, project))
        except AssertionError as error:
            raise NotServedError(f"{subject} does not start: {error}") from error
        yield connect(subject, running.url, running.triton_pid)


def measurable(repository: Path, name: str) -> Path:
    """The repository, or where its weights are random a copy in which they decide nothing."""
    return fixed_copy(repository, BUILD / f"{name}-fixed") if is_random(repository) else repository


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A worktree of the commit in a temporary folder, which is removed in any case.

    Raises:
        BaselineError: git has no such commit.
    """
    folder = Path(tempfile.mkdtemp(prefix="vemoclap-baseline-"))
    worktree = folder / "checkout"
    try:
        _git("worktree", "add", "--detach", str(worktree), commit)
        # The stub's working directory is the checkout: it takes this client, not the installed one.
        (worktree / "vemoclap_client").symlink_to(worktree / "client" / "vemoclap_client")
        yield worktree
    finally:
        with contextlib.suppress(BaselineError):
            _git("worktree", "remove", "--force", str(worktree))
        shutil.rmtree(folder, ignore_errors=True)


def full_name(commit: str) -> str:
    """The commit's hash.

    Raises:
        BaselineError: git has no such commit.
    """
    try:
        return _git("rev-parse", "--verify", f"{commit}^{{commit}}").strip()
    except BaselineError as error:
        raise BaselineError(f"git has no commit {commit!r} to compare with") from error


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BaselineError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def filled_repository(worktree: Path, commit: str, like: Path) -> Path:
    """The worktree's repository, filled by its own code with the weights that `like` has.

    What an earlier run has exported for this commit, or `like` itself holds, is linked; what does
    not fit the commit's code is exported anew. It is kept in build/bench.

    Raises:
        BaselineError: the export failed.
    """
    options = stamp.options(like / REFERENCE) or Options()
    repository = worktree / EMBEDDED_REPOSITORY
    kept = BUILD / "baselines" / commit / options.profile
    link_exported(kept if kept.is_dir() else like, repository)
    command = [sys.executable, "-m", "export", "--profile", options.profile]
    command += ["--weights", "random"] if is_random(like) else []
    environment = {**os.environ, "PYTHONPATH": f"{worktree}{os.pathsep}{worktree / 'client'}"}
    done = subprocess.run(
        [*command, "--precision", options.precision],
        cwd=worktree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BaselineError(f"the export of {commit} failed: {done.stderr.strip()[-2000:]}")
    with contextlib.suppress(OSError):
        shutil.rmtree(kept, ignore_errors=True)
        link_exported(repository, kept)
    return repository


def link_exported(source: Path, target: Path) -> None:
    """Links what an export has put into each slot; a later export replaces it by renaming."""
    for stamped in source.glob(f"*/{stamp.STAMP}"):
        folder = stamped.parents[1]
        for path in [*sorted(stamp.paths(folder)), stamp.STAMP]:
            if not (target / folder.name / path).exists() and (folder / path).is_file():
                link_or_copy(folder / path, target / folder.name / path)
