import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

from lrgd.core.files import append_line, replace_file, whole_lines


def test_what_a_crash_cut_off_is_not_read_and_dropped_by_the_next_writer(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"one\ntw")
    assert whole_lines(file) == [b"one"]
    assert file.read_bytes() == b"one\ntw"  # somebody may be writing it now: a reader cuts nothing
    append_line(file, b"three")
    assert whole_lines(file) == [b"one", b"three"]


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert whole_lines(tmp_path / "lines") == []


def test_a_file_that_is_all_cut_off_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b'{"half":')
    append_line(tmp_path / "lines", b"one")
    assert whole_lines(tmp_path / "lines") == [b"one"]


def test_threads_lose_and_mix_nothing(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    wanted = [b"%d-" % n * 2000 for n in range(40)]
    threads = [Thread(target=append_line, args=(file, line)) for line in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(whole_lines(file)) == sorted(wanted)


APPENDS = """
import sys
from pathlib import Path
from lrgd.core.files import append_line
n = 0
while True:
    append_line(Path(sys.argv[1]), b"%d " % n * 300)
    n += 1
"""


def test_a_writer_that_is_killed_leaves_whole_lines(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    for turn in range(3):
        before = len(whole_lines(file))
        writer = subprocess.Popen([sys.executable, "-c", APPENDS, str(file)])
        while len(whole_lines(file)) < before + 5 + turn:
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    for line in whole_lines(file):
        assert line == (line.split()[0] + b" ") * 300


FILLS = """
import resource, signal, sys
from pathlib import Path
from lrgd.core.files import append_line, replace_file
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))
for act in (append_line, replace_file):
    try:
        act(Path(sys.argv[1]), b"x" * 1000 if act is append_line else "y" * 9000)
        act(Path(sys.argv[1]), b"x" * 1000)
        act(Path(sys.argv[1]), b"x" * 1000)
        print("no error")
    except OSError as error:
        print(error.filename, error.strerror)
"""


def test_what_does_not_fit_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    done = subprocess.run(
        [sys.executable, "-c", FILLS, str(file)], capture_output=True, text=True, check=True
    )
    told = done.stdout.splitlines()
    assert told[0] == f"{file} File too large"
    assert told[1].endswith("File too large")
    assert file.read_bytes() == (b"x" * 1000 + b"\n") * 2
    assert os.listdir(tmp_path) == ["lines"]


def test_a_file_is_replaced_whole_and_in_utf8(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    for text in ("first\n", "second \N{SNOWMAN}\n"):
        replace_file(file, text)
        assert file.read_bytes() == text.encode()
    assert os.listdir(tmp_path) == ["run.json"]


def test_nobody_ever_reads_half_a_file(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    texts = [letter * 200_000 for letter in "ab"]
    replace_file(file, texts[0])
    writer = Thread(target=lambda: [replace_file(file, texts[n % 2]) for n in range(20)])
    writer.start()
    while writer.is_alive():
        assert file.read_text() in texts
    writer.join()
