"""The conformance suite of storages: what every adapter does with files and their keys."""

import errno
import hashlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
import structlog

from moneyflow.gateways.storage import Storage, new_key
from moneyflow.gateways.storage.file import FileStorage
from moneyflow.gateways.storage.keys import kept_key
from moneyflow.gateways.storage.storages import check_at_start
from moneyflow.platform import clock
from moneyflow.platform.errors import NotFoundError, UnavailableError
from ops.dev.stack.home import CHECKOUT
from ops.dev.stack.ports import free_port
from tests.support.storages import bucket_settings, s3_server, storage_in

_MIB = 1024 * 1024


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a server that speaks S3."""
    with s3_server(tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path) -> dict[str, str]:
    """Return the settings of a storage in a new folder."""
    return {"STORAGE_URL": f"file:{tmp_path / 'files'}"}


@pytest.fixture
def bucket(s3: str) -> dict[str, str]:
    """Return the settings of a storage in a new bucket."""
    return bucket_settings(s3)


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    with storage_in(request.getfixturevalue(request.param)) as storage:
        yield storage


def _soon() -> datetime:
    """Return a moment before which all that was written is older."""
    return clock.now() + timedelta(seconds=5)


def _keys(storage: Storage) -> list[str]:
    return list(storage.keys(written_before=_soon()))


def _read(storage: Storage, key: str, *, start: int = 0, size: int | None = None) -> bytes:
    with storage.open(key, start=start, size=size) as file:
        return file.read()


def _broken() -> Iterator[bytes]:
    yield b"a" * _MIB
    raise ConnectionResetError("the client has gone")


def test_what_is_written_in_pieces_is_read_as_a_whole_with_its_size_and_digest(storage: Storage) -> None:
    key = new_key("private", ".csv")
    pieces = [b"a,b\n", b"", b"1" * (6 * _MIB), b"\x00\xff"]
    content = b"".join(pieces)

    written = storage.write(key, iter(pieces))

    assert (written.key, written.size, written.sha256) == (key, len(content), hashlib.sha256(content).hexdigest())
    assert _read(storage, key) == content


def test_an_empty_file_is_a_file(storage: Storage) -> None:
    written = storage.write(new_key("public"), [])

    assert (written.size, _read(storage, written.key)) == (0, b"")


@pytest.mark.parametrize(
    ("start", "size", "part"),
    [(0, 3, b"012"), (4, None, b"456789"), (4, 2, b"45"), (8, 100, b"89"), (10, None, b""), (10, 3, b""), (3, 0, b"")],
)
def test_a_part_is_read_from_its_first_byte_and_no_further_than_its_size(
    storage: Storage, start: int, size: int | None, part: bytes
) -> None:
    key = storage.write(new_key("private"), [b"0123456789"]).key

    with storage.open(key, start=start, size=size) as file:
        assert b"".join(iter(lambda: file.read(2), b"")) == part


def test_a_write_that_breaks_off_leaves_no_file_and_raises_the_error_of_its_source(storage: Storage) -> None:
    key = new_key("private")

    with pytest.raises(ConnectionResetError):
        storage.write(key, _broken())

    assert _keys(storage) == []
    with pytest.raises(NotFoundError), storage.open(key):
        pass


def test_a_deleted_file_is_gone_and_deleting_it_again_does_nothing(storage: Storage) -> None:
    key = storage.write(new_key("public", ".webp"), [b"x"]).key

    storage.delete(key)
    storage.delete(key)

    assert _keys(storage) == []
    with pytest.raises(NotFoundError), storage.open(key):
        pass


def test_keys_come_in_their_order_and_those_written_since_do_not(storage: Storage) -> None:
    written = [storage.write(new_key(area), [b"x"]).key for area in ("public", "private") for _ in range(20)]

    assert _keys(storage) == sorted(written)
    assert list(storage.keys(written_before=clock.now() - timedelta(seconds=60))) == []


def test_a_storage_in_which_nothing_was_ever_written_has_no_keys(storage: Storage) -> None:
    assert _keys(storage) == []


def test_what_is_kept_without_a_row_is_found_by_its_folder_and_is_no_file_for_the_sweep(storage: Storage) -> None:
    kept = [kept_key("audit_checkpoints", f"{name}.json") for name in ("b", "a")]
    for key in (*kept, kept_key("others", "c.json")):
        storage.write(key, [key.encode()])

    assert list(storage.kept("audit_checkpoints")) == sorted(kept)
    assert _read(storage, kept[0]) == kept[0].encode()
    assert (_keys(storage), list(storage.kept("none"))) == ([], [])


@pytest.mark.parametrize(
    "key",
    ["", "private", "kept/a/../b.json", "kept/Audit/b.json",
     "private/ab/../../etc/passwd", "/etc/passwd", "private/ab/" + "cd" * 16, "other/ab/" + "ab" * 16,
     "private/ab/" + "ab" * 16 + "/", "private/ab/" + "ab" * 16 + ".CSV", "private/ab/" + "ab" * 16 + "\n"],
)  # fmt: skip
def test_what_is_no_key_is_refused_by_every_act(storage: Storage, key: str) -> None:
    acts: list[Callable[[], object]] = [
        lambda: storage.write(key, [b"x"]),
        lambda: storage.open(key).__enter__(),
        lambda: storage.delete(key),
        lambda: storage.path(key),
        lambda: storage.link(key, name="a", content_type="text/csv", seconds=60),
    ]
    for act in acts:
        with pytest.raises(ValueError, match="is no key"):
            act()


def test_many_threads_write_at_once(storage: Storage) -> None:
    contents = {new_key("private"): bytes([number]) * 10_000 for number in range(40)}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda item: storage.write(item[0], [item[1]]), contents.items()))

    assert {key: _read(storage, key) for key in _keys(storage)} == contents


def test_a_storage_that_works_passes_its_check(storage: Storage) -> None:
    storage.check()


def test_each_key_is_new_and_says_whom_it_is_for() -> None:
    keys = {new_key("public", ".webp") for _ in range(1000)}

    assert len(keys) == 1000
    assert all(key.startswith("public/") and key.endswith(".webp") and len(key) == 47 for key in keys)


@pytest.mark.parametrize("suffix", ["webp", ".", ".a/b", ".WEBP", "./..", ".tar.gz", "." + "a" * 11])
def test_a_suffix_that_is_no_plain_type_is_refused(suffix: str) -> None:
    with pytest.raises(ValueError, match="suffix"):
        new_key("private", suffix)


@pytest.fixture
def no_folder(tmp_path: Path) -> dict[str, str]:
    """Return the settings of a storage whose folder cannot be made."""
    (tmp_path / "taken").write_text("a file")
    return {"STORAGE_URL": f"file:{tmp_path / 'taken' / 'files'}"}


@pytest.fixture
def no_server(bucket: dict[str, str]) -> dict[str, str]:
    """Return the settings of a storage whose server is down."""
    return {**bucket, "S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}


@pytest.fixture
def no_bucket(bucket: dict[str, str]) -> dict[str, str]:
    """Return the settings of a storage whose bucket is not there."""
    return {**bucket, "STORAGE_URL": "s3://there-is-no-such-bucket"}


@pytest.mark.parametrize("which", ["no_folder", "no_server", "no_bucket"])
def test_a_storage_that_is_down_says_so_in_every_act(which: str, request: pytest.FixtureRequest) -> None:
    key = new_key("private")
    with storage_in(request.getfixturevalue(which)) as storage:
        acts: list[Callable[[], object]] = [
            storage.check,
            lambda: storage.write(key, [b"x"]),
            lambda: storage.write(key, [b"x" * _MIB] * 20),
        ]
        if which != "no_folder":  # Where no folder is, no file is either.
            acts += [lambda: _read(storage, key), lambda: _keys(storage), lambda: storage.delete(key)]
        for act in acts:
            with pytest.raises(UnavailableError, match="see the runbook, storage"):
                act()


@pytest.mark.parametrize(("which", "logged"), [("folder", []), ("no_folder", ["storage_unavailable"])])
def test_a_process_that_starts_with_a_storage_that_is_down_logs_it_and_starts(
    which: str, logged: list[str], request: pytest.FixtureRequest
) -> None:
    with storage_in(request.getfixturevalue(which)) as storage, structlog.testing.capture_logs() as logs:
        check_at_start(storage).join()

    assert [line["event"] for line in logs] == logged


def test_a_full_disk_is_an_outage_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    storage = FileStorage(tmp_path)
    monkeypatch.setattr("os.fsync", full)

    with pytest.raises(UnavailableError, match="No space left on device"):
        storage.write(new_key("private"), [b"x"])
    assert _keys(storage) == []


def test_a_crash_in_the_middle_of_a_write_leaves_what_the_sweep_finds_and_no_file(tmp_path: Path) -> None:
    def crash() -> Iterator[bytes]:
        yield b"x" * _MIB
        os._exit(0)

    storage, key = FileStorage(tmp_path), new_key("private")
    process = multiprocessing.get_context("fork").Process(target=lambda: storage.write(key, crash()))
    process.start()
    process.join()

    (left,) = _keys(storage)
    assert left.startswith("incoming/")
    storage.delete(left)
    assert _keys(storage) == []


def test_files_that_others_have_put_into_the_folder_are_left_alone(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path)
    key = storage.write(new_key("public"), [b"x"]).key
    for name in (".gitignore", "public/readme.txt", "public/ab/a.webp", "incoming/notes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("of others")

    assert _keys(storage) == [key]


def test_a_link_serves_the_file_under_its_name_until_it_expires(bucket: dict[str, str]) -> None:
    with storage_in(bucket) as storage:
        key = storage.write(new_key("private", ".csv"), [b"a,b"]).key
        link = storage.link(key, name="März.csv", content_type="text/csv", seconds=60)
    assert link is not None

    answer = httpx.get(link, trust_env=False)
    part = httpx.get(link, headers={"Range": "bytes=0-0"}, trust_env=False)

    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"a,b", "text/csv")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert "M%C3%A4rz.csv" in answer.headers["content-disposition"]
    assert "X-Amz-Expires=60" in link
    assert (part.status_code, part.content) == (206, b"a")


def test_no_process_loads_the_client_of_a_bucket_for_a_folder() -> None:
    code = "import sys, api.app, workers.__main__; print('boto3' in sys.modules)"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CHECKOUT)

    assert ran.stdout.strip() == "False"
