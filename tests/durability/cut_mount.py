"""tests/durability/cut_mount.py — a file system of our own whose power can be cut.  Needs root.

A sparse image, a loop device, ext4 (or xfs), a mount below the given directory.  cut() is
FS_IOC_SHUTDOWN without a flush of the journal: what was not synced is gone.  The caller freezes
the broker before (a sync that races the cut may return 0) and kills it after.
Failures: CalledProcessError of mkfs or mount."""
import fcntl
import os
import subprocess
import time

FS_IOC_SHUTDOWN = 0x8004587D
SHUTDOWN_NO_LOG_FLUSH = 2
UMOUNT_SECONDS = 20


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class CutMount:
    def __init__(self, directory, megabytes=512, kind="ext4"):
        self.image = os.path.join(directory, "disk.img")
        self.path = os.path.join(directory, "mount")
        self.kind = kind
        os.makedirs(self.path, exist_ok=True)
        with open(self.image, "wb") as f:
            f.truncate(megabytes << 20)
        run(*(["mkfs.ext4", "-q", "-F", "-m", "0", self.image] if kind == "ext4"
              else ["mkfs.xfs", "-q", "-f", self.image]))
        self.mounted = False
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.path)
        self.mounted = True

    def cut(self):
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, SHUTDOWN_NO_LOG_FLUSH.to_bytes(4, "little"))
        finally:
            os.close(fd)

    def unmount(self):
        """The kernel takes a killed process's ring apart some milliseconds late: retry."""
        give_up = time.monotonic() + UMOUNT_SECONDS
        while self.mounted:
            try:
                run("umount", self.path)
                self.mounted = False
            except subprocess.CalledProcessError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.005)

    def close(self):
        self.unmount()
        os.unlink(self.image)
        os.rmdir(self.path)
