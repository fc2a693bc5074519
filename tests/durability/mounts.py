"""tests/durability/mounts.py — file systems of our own whose power and disk can fail.  Need root.

Two kinds of the same thing, ext4 or xfs on a loop device, mounted below the given directory:
- ShutdownMount: an image file.  cut() is FS_IOC_SHUTDOWN without a flush of the journal: what was not
  synced is gone.  Quick.  A sync that races the cut may return 0: the caller freezes the broker before.
- FaultMount: the file of fault_disk.c.  cut() takes sectors from the disk's write cache, in any order, so
  that a flush that the file system forgot shows, too; writes and syncs can fail or hang.
The caller kills the broker before it unmounts.  A mount ends with the runner's mount namespace, its loop
device with the mount, fault_disk with the runner: nothing is left behind, however that ends.
Failures: CalledProcessError of mkfs or mount, with what they said; Unavailable where the kernel has no such
file system, or no FUSE."""
import fcntl
import functools
import os
import shlex
import struct
import subprocess
import time

from broker_process import Failed, Unavailable, die_with_parent

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FS_IOC_SHUTDOWN = 0x8004587D
SHUTDOWN_NO_LOG_FLUSH = 2
FS_IOC_FIEMAP = 0xC020660B
UNMOUNT_SECONDS = 20
MEGABYTES = 320                         # mkfs.xfs takes no less than 300


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout)


@functools.lru_cache(None)
def trouble():
    """Why nothing can be mounted here; None: it can."""
    if os.geteuid() != 0:
        return "needs root for a mount of its own"
    if not os.path.exists("/dev/loop-control"):
        return "needs loop devices"
    try:
        run("unshare", "--mount", "--propagation", "private", "true")
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        return f"needs a mount namespace of its own: {error}"
    return None


def until_done(*command, what):
    """The kernel takes a killed process's ring and a loop device apart some milliseconds late: retry."""
    give_up = time.monotonic() + UNMOUNT_SECONDS
    while True:
        try:
            return run(*command)
        except subprocess.CalledProcessError as error:
            said = error.output.decode(errors="replace").strip()
            if "unknown filesystem" in said:
                raise Unavailable(said) from None
            if time.monotonic() > give_up:
                raise Failed(f"{what}: {said}") from None
            time.sleep(0.005)


class Mount:
    """What both kinds share; `disk` is the file that is the disk."""

    def __init__(self, directory, kind):
        self.path, self.kind, self.mounted = os.path.join(directory, "mount"), kind, False
        os.makedirs(self.path, exist_ok=True)

    def format(self):
        if self.kind == "ext4":
            run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard", self.disk)
        else:
            run("mkfs.xfs", "-q", "-f", "-K", self.disk)

    def mount(self, *options):
        until_done("mount", "-o", ",".join(["loop", *options]), self.disk, self.path, what="mount")
        self.mounted = True

    def unmount(self):
        if self.mounted:
            until_done("umount", self.path, what="umount")
            self.mounted = False

    def device(self):
        """loopN"""
        number = os.stat(self.path).st_dev
        return os.path.basename(os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}"))

    def turn_read_only(self):
        """What ext4 does with errors=remount-ro when it finds itself damaged.  ext4 only."""
        with open(f"/sys/fs/ext4/{self.device()}/trigger_fs_error", "w") as f:
            f.write("torture\n")

    def check(self):
        """Not mounted: the file system finds itself whole after a replay of its journal."""
        self.mount()
        self.unmount()
        if self.kind == "ext4":
            until_done("e2fsck", "-fn", self.disk, what="e2fsck")
        else:
            until_done("xfs_repair", "-n", self.disk, what="xfs_repair")


class ShutdownMount(Mount):
    needs_frozen = True

    def __init__(self, directory, kind="ext4", megabytes=MEGABYTES):
        super().__init__(directory, kind)
        self.disk = os.path.join(directory, "disk.img")
        with open(self.disk, "wb") as f:
            f.truncate(megabytes << 20)
        self.format()
        self.mount()

    def cut(self, _seed, sector_bytes=512):     # whole files are kept or lost
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, SHUTDOWN_NO_LOG_FLUSH.to_bytes(4, "little"))
        finally:
            os.close(fd)

    def power_on(self):
        pass

    def close(self):
        self.unmount()
        os.unlink(self.disk)


def fault_disk_program():
    """Built by the first who needs it."""
    source, program = f"{HERE}/fault_disk.c", f"{ROOT}/build/torture/fault_disk"
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(program), exist_ok=True)
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True, text=True)
        if flags.returncode != 0:
            raise Failed(f"libfuse3-dev is needed: {flags.stderr}")
        run("cc", "-std=gnu17", "-O2", "-g", "-Wall", "-Wextra", "-Werror", source, "-o", program,
            *shlex.split(flags.stdout))
    return program


class FaultMount(Mount):
    needs_frozen = False

    def __init__(self, directory, kind="ext4", megabytes=MEGABYTES):
        super().__init__(directory, kind)
        if not os.path.exists("/dev/fuse"):
            raise Unavailable("needs /dev/fuse")
        self.file_directory = os.path.join(directory, "fault")
        self.disk = os.path.join(self.file_directory, "disk")
        os.makedirs(self.file_directory, exist_ok=True)
        self.process = subprocess.Popen([fault_disk_program(), self.file_directory, str(megabytes)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1,
                                        preexec_fn=die_with_parent)
        try:
            self._expect(self.process.stdout.readline(), "ready")
            self.format()
            self.mount()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _expect(line, wanted):
        if not line.startswith(wanted) or line.startswith("error"):
            raise Failed(f"fault_disk: {line.strip() or 'ended'}")

    def command(self, line):
        """(writes, syncs, failed writes, failed syncs)"""
        self.process.stdin.write(line + "\n")
        answer = self.process.stdout.readline()
        if not answer or answer.startswith("error"):
            raise Failed(f"fault_disk: {line}: {answer.strip() or 'ended'}")
        return tuple(int(word) for word in answer.split())

    def cut(self, seed, sector_bytes=512):
        self.command(f"cut {seed} {sector_bytes}")

    def power_on(self):
        """Before mount(): what the kernel had of the disk went with the loop device."""
        self.command("power-on")

    def fail_writes_of(self, path):
        """Only writes to the blocks this file has now; returns how many bytes these are."""
        extents = extents_of(path)
        for pos, length in extents:
            self.command(f"fail-writes {pos} {pos + length}")
        return sum(length for _, length in extents)

    def close(self):
        try:
            if self.process.poll() is None:
                self.command("go")
            self.unmount()
        finally:
            self.process.stdin.close()      # it unmounts itself and ends
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()


def extents_of(path):
    """[(position on the disk, length)] by FS_IOC_FIEMAP; reserved ones included."""
    count = 64
    buffer = bytearray(struct.pack("=QQLLLL", 0, 0xFFFFFFFFFFFFFFFF, 1, 0, count, 0) + bytes(56 * count))
    with open(path, "rb") as f:
        fcntl.ioctl(f, FS_IOC_FIEMAP, buffer)
    mapped = struct.unpack_from("=L", buffer, 20)[0]
    extents = []
    for i in range(mapped):
        _, pos, length = struct.unpack_from("=QQQ", buffer, 32 + 56 * i)
        if pos:                             # delayed allocation has no place yet
            extents.append((pos, length))
    return extents
