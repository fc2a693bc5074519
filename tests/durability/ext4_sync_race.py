#!/usr/bin/python3
"""tests/durability/ext4_sync_race.py — a file system that says "synced" when it is not, without any broker.

    tests/durability/ext4_sync_race.py [ext4|xfs] [ROUNDS]       # root

Six threads write 4 KiB and fdatasync, each to a file of its own; one flush of the disk fails; then the
power is cut.  On ext4 (6.18) the failed flush ends the journal, and a sync of another file that runs at
that moment may return 0 although its part of the journal was never written: its bytes are zeros after the
next mount.  Nobody above the file system can see that; it is why scenario_disk.py lets a flush fail on
ext4 for good, and freezes the broker before ext4 is made read-only.  xfs does not do it.
Prints how many files lost what fdatasync had promised."""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mounts import FaultMount, trouble          # noqa: E402

THREADS, BLOCK, BLOCKS = 6, 4096, 250


def write_until_error(path, synced, ending):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(fd, 0, BLOCK * BLOCKS)
    try:
        for i in range(BLOCKS):
            if ending.is_set():
                break
            os.pwrite(fd, bytes([i + 1]) * BLOCK, i * BLOCK)
            os.fdatasync(fd)
            synced[path] = i + 1
    except OSError:
        pass
    os.close(fd)


def count_lost(synced):
    lost = 0
    for path, count in synced.items():
        with open(path, "rb") as f:
            data = f.read()
        lost += any(data[i * BLOCK:(i + 1) * BLOCK] != bytes([i + 1]) * BLOCK for i in range(count))
    return lost


def one_round(kind):
    directory = tempfile.mkdtemp(prefix=f"ringlog-torture-{os.getpid()}-race-")
    mount, synced, ending = FaultMount(directory, kind), {}, threading.Event()
    try:
        threads = [threading.Thread(target=write_until_error, args=(f"{mount.path}/{i}", synced, ending))
                   for i in range(THREADS)]
        for t in threads:
            t.start()
        time.sleep(random.uniform(0.2, 0.5))
        mount.command("fail-syncs 1 0")
        time.sleep(0.3)
        ending.set()
        for t in threads:
            t.join()
        mount.cut(0)
        mount.unmount()
        mount.power_on()
        mount.mount()
        return count_lost(synced), len(synced)
    finally:
        mount.close()
        shutil.rmtree(directory, ignore_errors=True)


def main():
    kind = sys.argv[1] if len(sys.argv) > 1 else "ext4"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 30
    if trouble() is not None:
        sys.exit(trouble())
    if os.environ.get("TORTURE_NAMESPACE") != "1":
        os.environ["TORTURE_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    results = [one_round(kind) for _ in range(rounds)]
    kernel = subprocess.run(["uname", "-r"], capture_output=True, text=True).stdout.strip()
    print(f"{kind}, Linux {kernel}: {sum(r[0] for r in results)} of {sum(r[1] for r in results)} files lost what "
          f"fdatasync had promised, in {rounds} rounds")


if __name__ == "__main__":
    main()
