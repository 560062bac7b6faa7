"""TensorBoard's own writers write, and the reader finds each scalar, also in a file that is still growing."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

from tasks.training.event_file import NoEventFile, Scalar, read_scalars
from tests.unit.training.writers import summary_writer


def event_file(folder: Path) -> Path:
    (found,) = folder.glob("*.tfevents.*")
    return found


def scalars(path: Path, start: int = 0, most: int = 1000) -> tuple[list[Scalar], int]:
    with path.open("rb") as file:
        return read_scalars(file, start, most=most)


def test_each_scalar_is_read_and_what_is_none_is_passed_over(tmp_path: Path) -> None:
    with summary_writer(tmp_path) as writer:
        writer.add_scalar("loss/train", 0.25, 1, walltime=1000.5)
        writer.add_image("picture", np.random.default_rng(0).random((3, 400, 400)), 1)
        writer.add_histogram("weights", np.random.default_rng(1).random(1000), 1)
        writer.add_scalar("loss/train", -2.0, 2**40, walltime=1001.5)
        writer.add_scalar("new style", 3.5, 3, new_style=True)
        writer.add_text("note", "Nothing to draw.", 3)
        writer.add_scalar("not a number", float("nan"), -1)

    found, end = scalars(event_file(tmp_path))

    assert found[0] == Scalar("loss/train", 1, 0.25, 1000.5)
    assert [(each.tag, each.step) for each in found] == [
        ("loss/train", 1),
        ("loss/train", 2**40),
        ("new style", 3),
        ("not a number", -1),
    ]
    assert (found[1].value, found[2].value) == (-2.0, 3.5)
    assert found[3].value != found[3].value
    assert end == event_file(tmp_path).stat().st_size


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_scalar_of_tensorflow_2_is_a_tensor_of_its_plugin(tmp_path: Path, kind: str) -> None:
    import numpy as np

    about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    other = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="histograms"))
    values = [
        Summary.Value(tag="epoch_loss", tensor=make_tensor_proto(np.array(0.125, kind)), metadata=about),
        Summary.Value(tag="many", tensor=make_tensor_proto(np.ones(3, kind)), metadata=about),
        Summary.Value(tag="another", tensor=make_tensor_proto(np.array(1, kind)), metadata=other),
    ]
    writer = EventFileWriter(str(tmp_path))
    writer.add_event(Event(wall_time=7.0, step=4, summary=Summary(value=values)))
    writer.close()

    assert scalars(event_file(tmp_path))[0] == [Scalar("epoch_loss", 4, 0.125, 7.0)]


def test_a_file_is_read_on_from_where_the_last_whole_record_ended(tmp_path: Path) -> None:
    with summary_writer(tmp_path) as writer:
        for step in range(10):
            writer.add_scalar("loss", step, step)
    whole = event_file(tmp_path).read_bytes()
    growing = tmp_path / "growing"
    found: list[Scalar] = []
    end = 0
    for size in range(0, len(whole) + 1, 7):
        growing.write_bytes(whole[:size])
        more, end = scalars(growing, end)
        found += more
    growing.write_bytes(whole)
    found += scalars(growing, end)[0]

    assert [each.step for each in found] == list(range(10))


def test_no_more_is_read_at_once_than_is_asked_for(tmp_path: Path) -> None:
    with summary_writer(tmp_path) as writer:
        for step in range(10):
            writer.add_scalar("loss", step, step)

    first, end = scalars(event_file(tmp_path), most=4)
    rest, _ = scalars(event_file(tmp_path), end)

    assert [each.step for each in (*first, *rest)] == list(range(10))
    assert len(first) == 4


@pytest.mark.parametrize("place", [0, 9, 20])
def test_what_is_no_event_file_is_said_to_be_none(tmp_path: Path, place: int) -> None:
    with summary_writer(tmp_path) as writer:
        writer.add_scalar("loss", 1.0, 1)
    content = bytearray(event_file(tmp_path).read_bytes())
    content[place] ^= 0xFF
    broken = tmp_path / "broken"
    broken.write_bytes(bytes(content))

    if place < 12:
        with pytest.raises(NoEventFile, match="at byte 0 no record"):
            scalars(broken)
    else:
        assert [each.tag for each in scalars(broken)[0]] == ["loss"], "its first record holds only a version"


def test_records_whose_fields_make_no_sense_are_no_event_file(tmp_path: Path) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    for number, record in enumerate((b"\x0b", b"\x08\xff", b"\x2a\x02\x0a\xff")):
        path = tmp_path / str(number)
        with path.open("wb") as file:
            RecordWriter(file).write(record)
            file.flush()
            with pytest.raises(NoEventFile):
                scalars(path)


def test_a_number_that_is_written_too_long_has_sixty_four_bits_all_the_same(tmp_path: Path) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    value = Summary.Value(tag="loss", simple_value=0.5)
    event = Event(summary=Summary(value=[value])).SerializeToString()
    with (tmp_path / "long").open("wb") as file:
        RecordWriter(file).write(event + b"\x10" + b"\xff" * 9 + b"\x7f")
        file.flush()
        assert [each.step for each in scalars(tmp_path / "long")[0]] == [-1]
    with (tmp_path / "too long").open("wb") as file:
        RecordWriter(file).write(event + b"\x10" + b"\xff" * 10 + b"\x7f")
        file.flush()
        with pytest.raises(NoEventFile, match="has no end"):
            scalars(tmp_path / "too long")
