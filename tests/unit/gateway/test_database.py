"""The gateway's tables, made by whoever comes first."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa
from perennial_gateway.database import connect, log_id, metadata


def test_gateways_that_come_to_a_new_database_at_once_all_find_it_whole(tmp_path: Path) -> None:
    at_once = 8
    barrier = threading.Barrier(at_once)

    def come(url: str) -> tuple[str, set[str]]:
        barrier.wait()
        engine = connect(url)
        try:
            return log_id(engine), set(sa.inspect(engine).get_table_names())
        finally:
            engine.dispose()

    with ThreadPoolExecutor(at_once) as pool:
        for number in range(6):
            found = list(pool.map(come, [f"sqlite:///{tmp_path / str(number)}.db"] * at_once))
            assert len({name for name, _ in found}) == 1
            assert all(metadata.tables.keys() <= tables for _, tables in found)
