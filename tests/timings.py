"""`make timings`: the milliseconds per slot and end to end on one clip, as a Markdown table.

Each slot's time is Triton's own count of its computation, so that a slot that waits for others
(a BLS call) includes them. Slots run side by side: the rows do not add up to the last one.
"""

import os
import statistics
import sys
import time
from pathlib import Path

import tritonclient.grpc as triton

from vemoclap_client import EmotionClient, contract

WARM_UP_RUNS = 2
RUNS = 10


def main(video: str) -> None:
    """Prints the table for a running server at $VEMOCLAP_URL."""
    url = os.environ["VEMOCLAP_URL"]
    with EmotionClient(url) as client, triton.InferenceServerClient(url) as connection:
        for _ in range(WARM_UP_RUNS):
            client.classify(video)
        before = compute_ns(connection)
        results, seconds = [], []
        for _ in range(RUNS):
            started = time.perf_counter()
            results.append(client.classify(video))
            seconds.append(time.perf_counter() - started)
        after = compute_ns(connection)
    print(
        f"{Path(video).name}, {results[0].duration_s:.1f} s, {os.cpu_count()} cores, {RUNS} runs\n"
    )
    print("| slot | ms |\n| --- | ---: |")
    decode_ms = statistics.median(result.timings_ms["decode"] for result in results)
    print(f"| (client: decoding) | {decode_ms:.0f} |")
    for slot in sorted(after, key=lambda slot: before[slot] - after[slot]):
        if slot != contract.ENSEMBLE:
            print(f"| {slot} | {(after[slot] - before[slot]) / RUNS / 1e6:.0f} |")
    print(f"| **end to end, median** | **{statistics.median(seconds) * 1000:.0f}** |")


def compute_ns(connection: triton.InferenceServerClient) -> dict[str, int]:
    """Nanoseconds that each slot has computed so far."""
    answer = connection.get_inference_statistics()
    return {model.name: model.inference_stats.compute_infer.ns for model in answer.model_stats}


if __name__ == "__main__":
    main(sys.argv[1])
