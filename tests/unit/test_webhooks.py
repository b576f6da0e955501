"""Webhooks: signed, to public addresses, tried again, never to where a redirect leads."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import jsonschema
import msgspec
import pytest

from tests.launching import wait_until
from tests.unit.api_client import ApiClient
from tests.unit.app_client import TIMEOUT_S, make_answer
from tests.unit.app_fixture import done_job, failed_job, waiting_job
from tests.webhook_receiver import SECRET, Receiver, receiving
from ui.api import webhooks
from ui.api.delivery import Deliveries
from ui.api.openapi import document
from ui.api.webhooks import WebhookError, check_webhook, send, sign
from ui.application import Application
from ui.jobs.webhooks import LEASE_S, Webhook, WebhookStore
from ui.settings import Settings, SettingsError
from vemoclap_client.errors import AddressRefusedError, BadLinkError

LINK = "https://example.org/a.mp4"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def settings(app: Application) -> Settings:
    return replace(
        app.settings, webhook_secret=SECRET, webhook_hosts=frozenset({"127.0.0.1", "localhost"})
    )


@contextmanager
def delivering(app: Application, settings: Settings, *delays_s: float) -> Iterator[WebhookStore]:
    deliveries = Deliveries(settings, app.store, delays_s)
    deliveries.start()
    try:
        yield WebhookStore(app.store)
    finally:
        deliveries.stop()


def state_of(store: WebhookStore, job_id: str) -> str | None:
    webhook = store.get(job_id)
    return webhook and webhook.state


def test_the_signature_is_that_of_the_standard() -> None:
    """Source: the reference vector of standardwebhooks.com."""
    signature = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_finished_clip_is_sent_once(
    app: Application, settings: Settings, receiver: Receiver
) -> None:
    result = make_answer("done.mp4")
    done, waiting = done_job(app.store), waiting_job(app.store)

    app.store.change(done.id, lambda job: msgspec.structs.replace(job, result=result))
    with delivering(app, settings) as store:
        for job in (waiting, done):
            store.add(job.id, receiver.url)
        wait_until(lambda: state_of(store, done.id) == "delivered", TIMEOUT_S)
        app.store.request_cancel(waiting.id)
        wait_until(lambda: state_of(store, waiting.id) == "delivered", TIMEOUT_S)
    assert len(receiver.received) == 2
    first, second = receiver.document(0), receiver.document(1)
    assert (first["type"], second["type"]) == ("clip.done", "clip.cancelled")
    clip = ApiClient(app).get(f"/clips/{done.id}").json()
    assert clip["webhook"] == {"url": receiver.url, "state": "delivered", "tries": 1, "error": ""}
    assert {**first["data"], "webhook": None} == {**clip, "webhook": None}
    schema = {"$ref": "#/components/schemas/Delivery", "components": document()["components"]}
    for delivery in (first, second):
        jsonschema.validate(delivery, schema, jsonschema.Draft202012Validator)
    headers = receiver.received[0][0]
    assert (headers["webhook-id"], headers["content-type"]) == (done.id, "application/json")
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < TIMEOUT_S


def test_what_fails_is_sent_again_with_the_same_id(
    app: Application, settings: Settings, receiver: Receiver
) -> None:
    receiver.statuses = [500, 302, 404]
    job = failed_job(app.store)
    with delivering(app, settings, 0.0, 0.0, 0.0) as store:
        store.add(job.id, receiver.url)
        wait_until(lambda: state_of(store, job.id) == "delivered", TIMEOUT_S)
    # A redirect is an answer like any other: what it leads to would have come as a GET.
    assert [headers["webhook-id"] for headers, _ in receiver.received] == [job.id] * 4
    assert receiver.document()["data"]["failure"]["exit_code"] == 13


@pytest.mark.parametrize(("statuses", "sent"), [([500] * 9, 3), ([410], 1), ([500, 410], 2)])
def test_in_the_end_it_is_given_up(
    app: Application, settings: Settings, receiver: Receiver, statuses: list[int], sent: int
) -> None:
    receiver.statuses = list(statuses)
    job = done_job(app.store)
    with delivering(app, settings, 0.0, 0.0) as store:
        store.add(job.id, receiver.url)
        wait_until(lambda: state_of(store, job.id) == "failed", TIMEOUT_S)
        found = store.get(job.id)
    assert found is not None
    assert (len(receiver.received), found.tries) == (sent, sent)
    assert str(statuses[sent - 1]) in found.error


def test_between_two_tries_is_a_pause(
    app: Application, settings: Settings, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    job = done_job(app.store)
    with delivering(app, settings, 3600.0) as store:
        store.add(job.id, receiver.url)
        wait_until(lambda: bool((found := store.get(job.id)) and found.error), TIMEOUT_S)
        assert store.take() is None
    assert state_of(store, job.id) == "waiting"


def test_a_try_that_was_cut_off_is_made_again(
    app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, job = WebhookStore(app.store), done_job(app.store)
    store.add(job.id, LINK)
    assert store.take() == Webhook(job.id, LINK, "waiting", 1, "")
    assert store.take() is None
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LEASE_S + 1)
    assert store.take() == Webhook(job.id, LINK, "waiting", 2, "")


def test_a_deleted_clip_s_webhook_is_deleted(app: Application) -> None:
    store, jobs = WebhookStore(app.store), [done_job(app.store) for _ in range(2)]
    for job in jobs:
        store.add(job.id, LINK)
    app.store.delete(jobs[0].id)
    assert store.get(jobs[0].id) is None
    assert store.get(jobs[1].id) is not None


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://10.0.0.1/", AddressRefusedError),
        ("https://169.254.169.254/latest/meta-data", AddressRefusedError),
        ("https://[::1]/", AddressRefusedError),
        ("https://[::ffff:8.8.8.8]/", AddressRefusedError),
        ("https://192.168.1.1:8443/", AddressRefusedError),
        ("http://example.org/", BadLinkError),
        ("ftp://example.org/", BadLinkError),
        ("https://me:secret@example.org/", BadLinkError),
        ("https://example.org/ a", BadLinkError),
        ("https://example.org/ü", BadLinkError),
        ("https:///nowhere", BadLinkError),
        ("https://example.org/" + "a" * 2000, BadLinkError),
    ],
)
def test_what_can_be_no_webhook_is_refused_at_once(
    app: Application, settings: Settings, url: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        check_webhook(url, settings)
    web = ApiClient(replace(app, settings=settings))
    answer = web.post("/clips", json={"url": LINK, "webhook": url})
    assert (answer.status_code, answer.json()["type"].split(":")[-1]) == (422, error.__name__)
    answer = web.post("/clips", files={"file": ("a.mp4", b"x")}, data={"webhook": url})
    assert answer.status_code == 422
    assert app.store.list_jobs() == []
    assert list(app.store.uploads.iterdir()) == []


def test_a_webhook_that_is_asked_for_is_stored(app: Application, settings: Settings) -> None:
    web = ApiClient(replace(app, settings=settings))
    url = "https://example.org/hook?token=a"
    for options in (
        {"json": {"url": LINK, "webhook": url}},
        {"files": {"file": ("a.mp4", b"x")}, "data": {"webhook": url}},
    ):
        clip = web.post("/clips", **options).json()  # type: ignore[arg-type]
        assert (clip["webhook"]["url"], clip["webhook"]["state"]) == (url, "waiting")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001"])
def test_a_name_that_leads_here_is_refused(
    settings: Settings, receiver: Receiver, name: str
) -> None:
    """Whatever it is called: the address counts that the system gives for it."""
    strict = replace(settings, webhook_hosts=frozenset())
    url = receiver.url.replace("127.0.0.1", name)
    with pytest.raises(AddressRefusedError):
        send(url, "id", b"{}", strict)
    assert receiver.received == []


def test_the_address_that_was_checked_is_the_one_that_is_used(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public at first and private at the next look-up."""
    answers = ["93.184.215.14", "127.0.0.1"]
    asked: list[Any] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **options: Any) -> Any:
        asked.append(host)
        shown = answers.pop(0) if host == "rebinding.example" else host
        return real(shown, port, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(webhooks, "TIMEOUT_S", 0.2)
    port = receiver.url.split(":")[2].partition("/")[0]
    with pytest.raises(WebhookError, match="no connection"):
        send(f"http://rebinding.example:{port}/", "id", b"{}", settings)
    assert asked.count("rebinding.example") == 1
    assert receiver.received == []


def test_a_receiver_that_never_answers_is_left(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.stalls = True
    monkeypatch.setattr(webhooks, "TIMEOUT_S", 0.1)
    with pytest.raises(WebhookError, match="no answer"):
        send(receiver.url, "id", b"{}", settings)


@pytest.mark.parametrize(
    ("scheme", "first", "error"),
    [
        ("http", b"", "no answer"),
        # The head of a part of TLS's handshake, of 16,000 bytes.
        ("https", b"\x16\x03\x03\x3e\x80", "no connection"),
    ],
)
def test_a_receiver_that_answers_a_byte_at_a_time_is_left(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, scheme: str, first: bytes, error: str
) -> None:
    monkeypatch.setattr(webhooks, "DEADLINE_S", 0.2)
    monkeypatch.setattr(webhooks, "TIMEOUT_S", TIMEOUT_S)
    listener, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(first)
            while not stop.wait(0.01):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(WebhookError, match=error):
            send(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/", "id", b"{}", settings)
    finally:
        stop.set()
        thread.join()
        listener.close()
    assert time.monotonic() - began < TIMEOUT_S


def answering_look_ups(addresses: list[str], before: Callable[[], None]) -> Callable[..., Any]:
    """A getaddrinfo for which the name many.example has these addresses."""
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: Any, **options: Any) -> Any:
        if host != "many.example":
            return real(host, port, *rest, **options)
        before()
        return [entry for address in addresses for entry in real(address, port, *rest, **options)]

    return look_up


def test_a_name_of_many_addresses_that_do_not_answer_is_left(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "DEADLINE_S", 0.5)
    look_up = answering_look_ups(["127.0.0.1"] * 12, lambda: None)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    settings = replace(settings, webhook_hosts=frozenset({"many.example"}))
    with ExitStack() as stack:
        # A listener whose queue is full: the system leaves what comes then without an answer.
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = listener.getsockname()
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        began = time.monotonic()
        with pytest.raises(WebhookError, match="no connection: timed out"):
            send(f"http://many.example:{address[1]}/", "id", b"{}", settings)
    assert time.monotonic() - began < webhooks.TIMEOUT_S, "the time of one of twelve addresses"


def test_the_address_after_one_that_does_not_answer_is_used(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens at the first.
    look_up = answering_look_ups(["127.0.0.2", "127.0.0.1"], lambda: None)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    allowed = replace(settings, webhook_hosts=frozenset({"many.example"}))
    send(receiver.url.replace("127.0.0.1", "many.example"), "id", b"{}", allowed)
    assert len(receiver.received) == 1


def test_a_look_up_counts_too(
    settings: Settings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "DEADLINE_S", 0.1)
    look_up = answering_look_ups(["127.0.0.1"], lambda: time.sleep(0.2))
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    allowed = replace(settings, webhook_hosts=frozenset({"many.example"}))
    with pytest.raises(WebhookError, match="looking up"):
        send(receiver.url.replace("127.0.0.1", "many.example"), "id", b"{}", allowed)
    assert receiver.received == []


def test_https_is_never_given_up(settings: Settings, receiver: Receiver) -> None:
    """The receiver behind this https URL does not know TLS."""
    with pytest.raises(WebhookError, match="no connection"):
        send(receiver.url.replace("http:", "https:"), "id", b"{}", settings)


@pytest.mark.parametrize("secret", ["secret", "whsec_", "whsec_????", "whsec_c2hvcnQ="])
def test_a_weak_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(SettingsError, match="WEBHOOK_SECRET") as raised:
        Settings.read({"VEMOCLAP_WEBHOOK_SECRET": secret})
    assert secret == "whsec_" or secret not in str(raised.value)
    assert SECRET not in repr(Settings.read({"VEMOCLAP_WEBHOOK_SECRET": SECRET}))


def test_names_are_read_without_regard_to_case() -> None:
    found = Settings.read({"VEMOCLAP_WEBHOOK_HOSTS": " A.example, ,10.0.0.1 "})
    assert found.webhook_hosts == {"a.example", "10.0.0.1"}
    assert found.hosts == frozenset()
