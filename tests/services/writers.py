"""Threads of one process that append to a new table of the lake at once: `python -m tests.services.writers`.

A program of its own: where its threads waited for each other, nothing inside of it could end them.
"""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from tasks.stores.lake import Lake

THREADS, BATCHES = 6, 4


def append(number: int) -> None:
    batch = str(number % BATCHES)
    Lake().append("events", pa.table({"id": [batch]}), batch_id=batch)


if __name__ == "__main__":
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(append, range(2 * THREADS)))
