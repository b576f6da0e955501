"""What the Hugging Face hub's refusals, and a network that fails, mean to the user."""

from collections.abc import Iterator
from contextlib import contextmanager

from export.errors import FetchError
from export.weights.manifest import Artifact


@contextmanager
def asking(wanted: Artifact) -> Iterator[None]:
    """Make whatever goes wrong inside with the hub a FetchError that says what to do.

    Only for talking to the hub: an OSError of the cache is to be told apart before it gets here.
    """
    import httpx2  # what huggingface_hub is built upon

    try:
        yield
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        raise FetchError(_explain(error, wanted)) from error


def _explain(error: Exception, wanted: Artifact) -> str:
    """Return the whole story in a sentence or two."""
    from huggingface_hub import constants, errors

    repository, revision = wanted.packages[0].split("@")
    place = f"{repository} on {constants.ENDPOINT}"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return (
            f"$HF_HUB_OFFLINE is set and {place} was never fetched into {constants.HF_HUB_CACHE}; "
            "unset it to fetch"
        )
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{place} is gated: accept its terms at {constants.ENDPOINT}/{repository}, "
            "then set $HF_TOKEN to a token of the same account"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{place} has no revision {revision}"
    if isinstance(error, errors.EntryNotFoundError):
        return f"{place} has no file {wanted.members[0]} at revision {revision}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"there is no {place}, or it is private; "
            "if it is, set $HF_TOKEN to a token that may read it"
        )
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_status(error.response.status_code, place)
    said = (str(error) or type(error).__name__).splitlines()[0]
    return f"no answer, or only a part of it, from {constants.ENDPOINT}: {said}"


def _explain_status(status: int, place: str) -> str:
    if status in (401, 403):
        return (
            f"access to {place} is refused (status {status}): set $HF_TOKEN to a valid token that "
            "may read it, or unset a wrong one"
        )
    if status == 429:
        return f"too many requests to {place} (status 429): wait some minutes, or set $HF_TOKEN"
    if status >= 500:
        return f"{place} fails (status {status}): it may be down, try later"
    return f"{place} answers with status {status}"
