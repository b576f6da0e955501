"""Sends finished clips to their webhooks, in threads of its own, with a few tries."""

import logging
import random
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from ui.api.documents import Delivery, to_clip, to_json_ready
from ui.api.webhooks import WebhookError, WebhookRefusedError, send
from ui.jobs.store import JobNotFoundError, JobStore
from ui.jobs.webhooks import Webhook, WebhookStore
from ui.logs import short
from ui.settings import Settings
from vemoclap_client.errors import AddressRefusedError

LOG = logging.getLogger(__name__)
THREADS = 2
LOOK_EVERY_S = 0.5
DELAYS_S = (5.0, 30.0, 300.0, 1800.0)
"""After each try that failed; after one more it is given up."""

SPREAD = 0.2
"""Of a delay, so that many clips are not sent again at the same moment."""


class Deliveries:
    """Sends what is over, once the receiver has taken it; at least once if the app is killed."""

    def __init__(
        self, settings: Settings, store: JobStore, delays_s: Sequence[float] = DELAYS_S
    ) -> None:
        """Nothing is sent before `start`."""
        self._settings = settings
        self._store = store
        self._webhooks = WebhookStore(store)
        self._delays_s = delays_s
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begins to send."""
        self._stopping.clear()
        self._threads = [
            threading.Thread(target=self._work, name="webhooks", daemon=True)
            for _ in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begins nothing more. What is being sent ends with the process, and is sent again."""
        self._stopping.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                webhook = self._webhooks.take()
                if webhook is not None:
                    self._deliver(webhook)
                    continue
            except Exception:
                LOG.exception("a webhook could not be worked on")
            self._stopping.wait(LOOK_EVERY_S)

    def _deliver(self, webhook: Webhook) -> None:
        identifier = webhook.job_id
        try:
            send(webhook.url, identifier, self._body(webhook), self._settings)
        except JobNotFoundError:
            return
        except (WebhookRefusedError, AddressRefusedError) as error:
            self._give_up(webhook, error)
        except WebhookError as error:
            if webhook.tries > len(self._delays_s):
                self._give_up(webhook, error)
                return
            delay_s = self._delays_s[webhook.tries - 1] * random.uniform(1, 1 + SPREAD)
            self._webhooks.postpone(identifier, delay_s, str(error))
        else:
            self._webhooks.end(identifier)

    def _give_up(self, webhook: Webhook, error: Exception) -> None:
        # Without the reason, which may name the URL, and that may hold a secret.
        LOG.warning("clip %s was not taken by its webhook: no more tries", short(webhook.job_id))
        self._webhooks.end(webhook.job_id, str(error))

    def _body(self, webhook: Webhook) -> bytes:
        job = self._store.get(webhook.job_id)
        document = Delivery(f"clip.{job.state}", datetime.now(UTC), to_clip(job, webhook))
        return msgspec.json.encode(to_json_ready(document))
