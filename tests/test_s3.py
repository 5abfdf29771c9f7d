"""The store of the release and the real client, against moto on the loopback interface; every failure for real."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.ops.s3 import store as store_module
from pipeline.ops.s3.client import ClientRequest, remove_leftovers, run_client
from pipeline.ops.s3.part import sort_entries
from pipeline.ops.s3.store import BASE, Store, open_store
from pipeline.schema.egoexo_release import ManifestEntry
from tests.egoexo_world import SMALL_TAKES, small_release
from tests.s3_server import S3Server, running

CONSORTIUM = "ego4d-consortium-sharing"
KEY = "egoexo-public/v2"
TAKE = SMALL_TAKES[0]
DOWNSCALED = "downscaled_takes/448"
VIDEO = f"takes/{TAKE.take_name}/frame_aligned_videos/downscaled/448/cam01.mp4"
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running(small_release(tmp_path_factory.mktemp("buckets"))) as server:
        yield server


@pytest.fixture
def server(world: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in world.environment.items():
        monkeypatch.setenv(name, value)
    world.requests.clear()
    yield world
    world.mend()


@pytest.fixture
def store() -> Store:
    return Store("default", "v2")


def request(folder: Path, *relative_paths: str, parts: tuple[str, ...] = (DOWNSCALED,)) -> ClientRequest:
    return ClientRequest(BASE, "v2", "default", parts, relative_paths, folder, 4)


def files_below(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


# --- the store ---------------------------------------------------------------------------------------------------


def test_a_part_is_sorted_by_owner_and_sent_once(server: S3Server, store: Store) -> None:
    part = store.part("takes")
    assert part.of.keys() == {take.take_uid for take in SMALL_TAKES} and not part.shared
    names = {path.relative_path for path in part.of[TAKE.take_uid]}
    assert f"takes/{TAKE.take_name}/frame_aligned_videos/cam01.mp4" in names
    assert store.part("takes") is part  # asked again, answered "unchanged"
    assert server.requests == [("GET", f"/{CONSORTIUM}/{KEY}/takes/manifest.json")] * 2


def test_a_changed_part_is_read_anew(server: S3Server, store: Store) -> None:
    key = f"{KEY}/take_notes/manifest.json"
    entry = {"uid": "notes", "paths": [{"source_path": f"s3://{CONSORTIUM}/a", "relative_path": "a"}]}
    server.put(CONSORTIUM, key, json.dumps([]).encode())
    assert not store.part("take_notes").files
    server.put(CONSORTIUM, key, json.dumps([entry]).encode())
    assert [path.relative_path for path in store.part("take_notes").shared] == ["a"]


def test_entries_are_sorted_by_the_uid_in_front() -> None:
    uid = "4ff4f4ca-87f1-46d2-a9b8-5704cec610a7"
    entries = [
        ManifestEntry.model_validate({"uid": name, "paths": [{"source_path": "s3://b/k", "relative_path": name}]})
        for name in (uid, f"{uid}_expert7", "relations", "relations")
    ]
    part = sort_entries(entries)
    assert [path.relative_path for path in part.of[uid]] == [uid, f"{uid}_expert7"]
    assert len(part.shared) == 2 and len(part.files) == 4


def test_sizes_come_from_the_store(server: S3Server, store: Store) -> None:
    takes = f"s3://{CONSORTIUM}/{KEY}/takes.json"
    gone = f"s3://{CONSORTIUM}/{KEY}/gone.json"
    sizes = store.sizes([takes, gone])
    assert sizes[gone] is None and (sizes[takes] or 0) > 100
    assert store.sizes([]) == {}


def test_the_same_surroundings_share_a_store(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_store("default", "v2")
    assert open_store("default", "v2") is first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert open_store("default", "v2") is not first


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "takes/../../x", ""])
def test_no_manifest_may_write_outside_the_release(server: S3Server, store: Store, path: str) -> None:
    entry = {"uid": "x", "paths": [{"source_path": f"s3://{CONSORTIUM}/a", "relative_path": path}]}
    server.put(CONSORTIUM, f"{KEY}/take_odd/manifest.json", json.dumps([entry]).encode())
    with pytest.raises(PipelineError, match="below the release folder"):
        store.part("take_odd")


# --- failures: each provoked, each with its own words -------------------------------------------------------------


def write_keys(server: S3Server, text: str) -> None:
    Path(server.environment["AWS_SHARED_CREDENTIALS_FILE"]).write_text(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def no_file(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")


def keys_in_environment(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    no_file(server, patch)
    patch.setenv("AWS_ACCESS_KEY_ID", "AKIASECRET")
    patch.setenv("AWS_SECRET_ACCESS_KEY", "verysecret")


def other_profile(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    write_keys(server, "[mine]\naws_access_key_id = a\naws_secret_access_key = verysecret\n")


def half_a_pair(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    write_keys(server, "[default]\naws_access_key_id = AKIASECRET\n")


def empty_profile(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    write_keys(server, "[default]\nregion = us-east-1\n")


def no_ini(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    write_keys(server, "AKIASECRET verysecret\n")


def refused(status: int, code: str) -> object:
    def fault(server: S3Server, patch: pytest.MonkeyPatch) -> None:
        server.faults.refuse["/"] = (status, code)

    return fault


def nobody_listens(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")


def no_network(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    """Amazon's own address, resolved to a port where nobody listens, as a name server or a firewall may do."""
    patch.delenv("AWS_ENDPOINT_URL")
    real = socket.getaddrinfo

    def nobody(host: str, port: int, *rest: object, **more: object) -> object:
        if "amazonaws" in str(host):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real(host, port, *rest, **more)  # type: ignore[arg-type]

    patch.setattr(socket, "getaddrinfo", nobody)


def dead_proxy(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    patch.delenv("AWS_ENDPOINT_URL")
    patch.setenv("https_proxy", f"http://127.0.0.1:{free_port()}")


def odd_address(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_ENDPOINT_URL", "my-store")


def no_tls(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("AWS_ENDPOINT_URL", server.environment["AWS_ENDPOINT_URL"].replace("http:", "https:"))


def login_page(server: S3Server, patch: pytest.MonkeyPatch) -> None:
    server.faults.html = True


FAILURES = {
    "no_file": (no_file, r"no AWS keys .* does not exist$", r"licence .*about two days.*aws configure"),
    "keys_in_environment": (keys_in_environment, r"keys in the environment alone are not enough", r"aws configure"),
    "other_profile": (other_profile, r"profile 'default' is not in ", r"AWS_PROFILE="),
    "half_a_pair": (half_a_pair, r"no complete pair of keys", r"aws configure --profile default"),
    "empty_profile": (empty_profile, r"no complete pair of keys", r"aws configure --profile default"),
    "no_ini": (no_ini, r"AWS settings cannot be read", r"mend .*credentials"),
    "deleted_keys": (
        refused(403, "InvalidAccessKeyId"),
        r"InvalidAccessKeyId.*expire after 14 days",
        r"ego4ddataset.com.*aws configure",
    ),
    "expired_keys": (refused(400, "ExpiredToken"), r"ExpiredToken.*expire after 14 days", r"renew them"),
    "wrong_secret": (refused(403, "SignatureDoesNotMatch"), r"secret key .* does not belong", r"copy both keys"),
    "no_licence": (refused(403, "AccessDenied"), r"may not read the list of part takes", r"not of Ego4D"),
    "clock": (refused(403, "RequestTimeTooSkewed"), r"clock", r"ntp"),
    "busy": (refused(503, "SlowDown"), r"answered SlowDown", r"run again later"),
    "no_bucket": (refused(404, "NoSuchBucket"), r"no such bucket", r"check AWS_ENDPOINT_URL"),
    "nobody_listens": (nobody_listens, r"no answer from 127.0.0.1:\d+, to which AWS_ENDPOINT_URL", r"unset AWS_END"),
    "no_network": (no_network, r"no connection to Amazon S3", r"check the network.*VPN"),
    "dead_proxy": (dead_proxy, r"no connection to the proxy", r"HTTPS_PROXY"),
    "odd_address": (odd_address, r"AWS_ENDPOINT_URL is 'my-store', which is no address", r"http://host:port"),
    "no_tls": (no_tls, r"certificate is not trusted", r"AWS_CA_BUNDLE"),
    "login_page": (login_page, r"is no manifest", r"log in"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_has_its_own_words_and_way_out(
    name: str, server: S3Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault, problem, fix = FAILURES[name]
    monkeypatch.setattr(store_module, "TRIES", 1)
    fault(server, monkeypatch)  # type: ignore[operator]
    with pytest.raises(PipelineError) as caught:
        store.part("takes")
    assert re.search(problem, caught.value.problem), caught.value.problem
    assert re.search(fix, caught.value.fix), caught.value.fix
    assert "verysecret" not in str(caught.value) and "AKIASECRET" not in str(caught.value)
    alike = [key for key, (_, other, _) in FAILURES.items() if re.search(other, caught.value.problem)]
    assert alike == [key for key, (_, other, _) in FAILURES.items() if other == problem]


def test_keys_that_were_renewed_are_used_at_once(server: S3Server, store: Store) -> None:
    server.faults.refuse["takes"] = (403, "InvalidAccessKeyId")
    with pytest.raises(PipelineError, match="14 days"):
        store.part("takes")
    server.faults.refuse.clear()
    assert store.part("takes").of


@pytest.mark.parametrize(
    ("asked", "meant"), [("downscaled_takes", "downscaled_takes/448"), ("anotations", "annotations"), ("zzzz", "")]
)
def test_an_unknown_part_is_named_with_the_nearest(server: S3Server, store: Store, asked: str, meant: str) -> None:
    with pytest.raises(PipelineError, match=f"has no part '{asked}'") as caught:
        store.part(asked)
    assert ("did you mean" in caught.value.fix) == bool(meant)
    assert f"PARTS={meant}?" in caught.value.fix or not meant
    assert "take_trajectory" in caught.value.fix


def test_a_store_that_hides_what_it_lacks_is_seen_through(server: S3Server, store: Store) -> None:
    server.faults.refuse["take_nothing"] = (403, "AccessDenied")  # S3's answer where listing is not allowed
    with pytest.raises(PipelineError, match="has no part 'take_nothing'"):
        store.part("take_nothing")
    server.faults.refuse["metadata"] = (403, "InvalidAccessKeyId")
    with pytest.raises(PipelineError, match="14 days"):
        store.part("take_nothing")


def test_a_bare_refusal_of_head_is_explained_by_get(server: S3Server, store: Store) -> None:
    server.faults.refuse["takes.json"] = (403, "ExpiredToken")
    with pytest.raises(PipelineError, match="14 days"):
        store.sizes([f"s3://{CONSORTIUM}/{KEY}/takes.json"])


def test_a_manifest_that_breaks_off_is_asked_for_again(server: S3Server, store: Store) -> None:
    server.faults.cut_suffix, server.faults.cut_after_bytes, server.faults.cuts = "manifest.json", 100, 2
    assert store.part("takes").of


# --- the client ----------------------------------------------------------------------------------------------------


def test_the_real_client_fetches_only_what_is_named(server: S3Server, tmp_path: Path) -> None:
    counted: list[int] = []
    run = run_client(request(tmp_path, VIDEO), counted.append, threading.Event())
    assert run.exit_status == 0 and not run.failures, run.output
    assert files_below(tmp_path) == [VIDEO]
    key = f"{KEY}/{DOWNSCALED}/{VIDEO.removeprefix('takes/')}"
    stored = server.client.get_object(Bucket="ego4d-cmu", Key=key)["Body"].read()
    assert (tmp_path / VIDEO).read_bytes() == stored and sum(counted) == len(stored)
    gets = [path for method, path in server.requests if method == "GET" and path.endswith(".mp4")]
    assert len(gets) == 2  # the client's and this test's


def test_a_failure_is_told_with_its_kind(server: S3Server, tmp_path: Path) -> None:
    server.faults.refuse["cam01.mp4"] = (404, "NoSuchKey")
    run = run_client(request(tmp_path, VIDEO), lambda number: None, threading.Event())
    assert run.exit_status == 2 and "Please retry" in run.output
    (failure,) = run.failures.values()
    assert failure.code == "404" and "ClientError" in failure.kinds and failure.errno is None


def test_an_empty_selection_is_no_success(server: S3Server, tmp_path: Path) -> None:
    run = run_client(request(tmp_path, "takes/none.mp4"), lambda number: None, threading.Event())
    assert run.exit_status == 0 and "Everything has been downloaded" in run.output  # why nobody asks for the status


def test_stop_ends_the_client_soon(server: S3Server, tmp_path: Path) -> None:
    server.faults.piece_delay_s = 30
    stop = threading.Event()

    def stop_when_it_runs() -> None:
        wait_for_request(server, VIDEO)
        stop.set()

    threading.Thread(target=stop_when_it_runs, daemon=True).start()
    with pytest.raises(PipelineError, match="was stopped") as caught:
        run_client(request(tmp_path, VIDEO), lambda number: None, stop)
    assert "kept" in caught.value.fix
    assert not (tmp_path / VIDEO).exists()
    assert not children_of(os.getpid())


def test_the_client_ends_when_its_parent_is_killed(server: S3Server, tmp_path: Path) -> None:
    server.faults.piece_delay_s = 30
    code = (
        "import sys, threading; from pathlib import Path; from pipeline.ops.s3.client import *;"
        f"run_client(ClientRequest({BASE!r}, 'v2', 'default', ({DOWNSCALED!r},), ({VIDEO!r},), Path({str(tmp_path)!r}),"
        " 4), lambda n: None, threading.Event())"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    wait_for_request(server, VIDEO)
    (child,) = children_of(parent.pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2])
    assert not (tmp_path / VIDEO).exists()


def test_leftovers_are_removed_and_nothing_else(tmp_path: Path) -> None:
    keep = ["cam01.mp4", "cam01.mp4.notes.txt", "cam02.mp4.0a1B2c3D", "cam01.mp4.zzzzzzzz", "cam01.mp4.0a1B2c3D4"]
    for name in [*keep, "cam01.mp4.0a1B2c3D", "cam01.mp4.DeadBeef"]:
        (tmp_path / name).write_text("")
    assert remove_leftovers([tmp_path / "cam01.mp4", tmp_path / "none" / "cam01.mp4"]) == 2
    assert files_below(tmp_path) == sorted(keep)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a small disk of its own")
def test_a_disk_that_fills_up_is_told_as_that(server: S3Server, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    code = (
        "import threading; from pathlib import Path; from pipeline.ops.s3.client import *;"
        f"run = run_client(ClientRequest({BASE!r}, 'v2', 'default', ({DOWNSCALED!r},), ({VIDEO!r},),"
        f" Path({str(disk)!r}), 4), lambda n: None, threading.Event());"
        "print([failure.errno for failure in run.failures.values()])"
    )
    small_disk = f'mount -t tmpfs -o size=4k,mode=777 none {disk} && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", small_disk, "sh", sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip("this system mounts nothing for users")
    assert done.stdout.strip() == "[28]", done.stderr


def wait_for_request(server: S3Server, name: str) -> None:
    tail = name.rpartition("/")[2]
    until(lambda: any(method == "GET" and path.endswith(tail) for method, path in list(server.requests)))
    time.sleep(0.2)


def until(condition: object) -> None:
    end_s = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.05)


def children_of(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
