import numpy as np
import pytest

from streams.cascade_files import cascade_files, read_cascades
from streams.errors import EmberwatchError


def write(folder, *, name="made", off=(0, 3, 5), meta=None, **changes):
    arrays = {"t": np.array([0.0, 20.0, 10.0, 0.0, 5.0]), "fol": np.array([1, 2, 3, -1, -1]), "off": np.array(off)}
    (folder / "cascades").mkdir(exist_ok=True)
    np.savez(folder / "cascades" / f"{name}.npz", **(arrays | changes))
    if meta is not None:
        (folder / "cascades" / f"{name}_meta.csv").write_text(meta)
    return folder / "cascades" / f"{name}.npz"


def test_cascades_are_read_in_order_of_time_with_their_followers_and_beginnings(tmp_path):
    file = write(tmp_path, meta="id,t0_unix\na,1400000000\nb,\n")
    first, second = read_cascades(file)
    assert (first.times_s.tolist(), first.followers.tolist(), first.begin_s) == ([0.0, 10.0, 20.0], [1, 3, 2], 1.4e9)
    assert (second.times_s.tolist(), second.begin_s) == ([0.0, 5.0], None)
    assert cascade_files(tmp_path) == [file]


def test_without_a_table_no_beginning_is_known(tmp_path):
    assert [one.begin_s for one in read_cascades(write(tmp_path))] == [None, None]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"off": (0, 9)}, "fit together"),
        ({"fol": np.array([1])}, "fit together"),
        ({"meta": "id,t0_unix\na,1\n"}, "1 rows for 2 cascades"),
        ({"meta": "id,t0_unix\na,soon\nb,1\n"}, "t0_unix"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, changes, words):
    with pytest.raises(EmberwatchError, match=words):
        read_cascades(write(tmp_path, **changes))


def test_a_file_that_is_no_archive_is_named(tmp_path):
    file = tmp_path / "broken.npz"
    file.write_bytes(b"PK")
    with pytest.raises(EmberwatchError, match=r"broken\.npz"):
        read_cascades(file)
