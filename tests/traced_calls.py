"""Calls a server in every way and sends the spans: python -m tests.traced_calls URL CLIP.

A process of its own, since OpenTelemetry is set up once per process.
"""

import asyncio
import sys

from ui.logs import recorded
from vemoclap_client import AsyncEmotionClient, EmotionClient
from vemoclap_client.errors import VideoNotFoundError
from vemoclap_client.tracing import requests_named, set_up_traces


async def call_async(url: str, clip: str) -> None:
    async with AsyncEmotionClient(url) as client:
        with requests_named("async-classify"):
            await client.classify(clip)
        with requests_named("async-stream"):
            assert [event async for event in client.stream(clip)]
        with requests_named("async-timeline"):
            await client.timeline(clip, 1.0, 1.0)


def main(url: str, clip: str) -> None:
    assert set_up_traces("test")
    with EmotionClient(url) as client:
        with requests_named("classify"):
            client.classify(clip)
        with recorded("classify", "an-id-that-nobody-may-see", "stream"):
            assert list(client.stream(clip))
        with requests_named("timeline"):
            client.timeline(clip, 1.0, 1.0)
        try:
            with recorded("classify", "an-id-that-nobody-may-see", "failed"):
                client.classify("/missing/holiday.mp4")
        except VideoNotFoundError:
            pass
    asyncio.run(call_async(url, clip))


if __name__ == "__main__":
    main(*sys.argv[1:])
