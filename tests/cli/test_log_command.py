#!/usr/bin/python3
"""tests/cli/test_log_command.py — `ringlog log verify` and `dump` on a real broker's files: all is well,
then every byte of them, or every STEPth, is flipped once, and verify must say so.

    test_log_command.py BINARY [STEP]
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BINARY = sys.argv[1]
STEP = int(sys.argv[2]) if len(sys.argv) > 2 else 1
CODE_WELL, CODE_WRONG, CODE_USAGE, CODE_UNREADABLE = 0, 1, 2, 3
# In these a flipped byte need not be noticed: text for Kafka's tools, which ringlog writes and never reads;
# and an id of a topic, which may be any.
UNREAD = {"leader-epoch-checkpoint", "partition.metadata"}


def ringlog_log(*arguments):
    done = subprocess.run([BINARY, "log", *arguments], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def verify(path, *flags):
    code, out, err = ringlog_log("verify", "--format", "json", *flags, path)
    return code, json.loads(out) if out.strip() else err


def expect(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")


def make_data(directory):
    """A broker that takes some batches into small segments, and is stopped."""
    data = os.path.join(directory, "data")
    log = open(os.path.join(directory, "log"), "w+")
    broker = subprocess.Popen([BINARY, "server", "--data-dir", data, "--listeners", "PLAINTEXT://127.0.0.1:0"],
                              stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        address = None
        for _ in range(500):
            match = re.search(r"ready address=PLAINTEXT://(\S+)", open(log.name).read())
            if match:
                address = match.group(1)
                break
            time.sleep(0.02)
        expect(address, "the broker starts: " + open(log.name).read())
        subprocess.run([BINARY, "bench", "produce", "--bootstrap", address, "--topic", "t", "--partitions", "1",
                        "--topic-config", "segment.bytes=3000,index.interval.bytes=500", "--record-size", "100",
                        "--batch-size", "400", "--bytes", "6000", "--in-flight", "1", "--acks", "all", "--quiet"],
                       check=True, stdout=subprocess.DEVNULL, timeout=60)
    finally:
        broker.send_signal(signal.SIGTERM)
        broker.wait(30)
    return data


def check_well(data):
    code, report = verify(data, "--records")
    expect(code == CODE_WELL and report["errors"] == report["warnings"] == 0, f"all is well at first: {report}")
    partition = report["partitions"][0]
    expect(len(report["partitions"]) == 1 and partition["segments"] >= 2 and partition["batches"] >= 10,
           f"there is something to look at: {partition}")
    expect(partition["start_offset"] == 0 and partition["end_offset"] == partition["records"], str(partition))
    code, out, _ = ringlog_log("verify", data)
    expect(code == CODE_WELL and "1 partition, 0 errors, 0 warnings" in out, out)
    return partition


def check_dump(directory, partition):
    code, out, _ = ringlog_log("dump", "--format", "json", "--records", directory)
    batches = [json.loads(line) for line in out.splitlines()]
    expect(code == CODE_WELL and len(batches) == partition["batches"], "dump shows every batch")
    expect(sum(len(b["records"]) for b in batches) == partition["records"], "and every record")
    expect([r["offset"] for b in batches for r in b["records"]] == list(range(partition["records"])), "in order")
    code, out, _ = ringlog_log("dump", "--offset", "9", "--limit", "1", directory + "/" + log_names(directory)[0])
    lines = [line for line in out.splitlines() if line.startswith("baseOffset")]
    expect(len(lines) == 1 and " count: " in lines[0] and lines[0].endswith("isvalid: true"), out)
    first, last = (int(x) for x in re.findall(r"(?:baseOffset|lastOffset): (\d+)", lines[0]))
    expect(first <= 9 <= last, lines[0])
    for name in os.listdir(directory):
        if name.endswith((".index", ".timeindex", ".snapshot", ".checkpoint")) and os.path.getsize(f"{directory}/{name}"):
            code, out, err = ringlog_log("dump", "--format", "json", f"{directory}/{name}")
            expect(code == CODE_WELL, f"{name}: {err}")
            for line in out.splitlines():
                json.loads(line)


def log_names(directory):
    return sorted(name for name in os.listdir(directory) if name.endswith(".log"))


def flip_everything(directory, report_path):
    """Each byte of each file, one at a time."""
    flips = 0
    for name in sorted(os.listdir(directory)):
        path = f"{directory}/{name}"
        whole = open(path, "rb").read()
        # All of the first segment and of the side files; of the other segments now and then a byte.
        step = 37 if name.endswith(".log") and name != log_names(directory)[0] else STEP
        for at in range(0, len(whole), step):
            with open(path, "r+b") as file:
                file.seek(at)
                file.write(bytes([whole[at] ^ 0x10]))
            code, report = verify(report_path)
            expect(code == CODE_WRONG or name in UNREAD,
                   f"a flipped byte at {at} of {name} is noticed: {code} {report}")
            if name.endswith(".log") and code == CODE_WRONG:
                findings = report["partitions"][0]["findings"]
                expect(any(f["file"] == name and f["position"] <= at for f in findings),
                       f"the place is told for {at} of {name}: {findings}")
            flips += 1
        with open(path, "wb") as file:
            file.write(whole)
    expect(flips > 1000 / STEP, f"only {flips} flips")
    return flips


def check_tail(directory, data):
    """A torn last write is a warning, lost data an error."""
    last = f"{directory}/{log_names(directory)[-1]}"
    first = f"{directory}/{log_names(directory)[0]}"
    whole = open(last, "rb").read()
    with open(last, "ab") as file:
        file.write(b"\0" * 100)
    code, report = verify(data)
    expect(code == CODE_WRONG and report["errors"] == 0 and report["warnings"] == 1, f"a torn tail: {report}")
    with open(last, "wb") as file:
        file.write(whole[:len(whole) // 2])
    code, report = verify(data)
    expect(code == CODE_WRONG and report["errors"] >= 1, f"a cut log: {report}")
    with open(last, "wb") as file:
        file.write(whole)
    os.rename(first, first + ".away")
    code, report = verify(data)
    expect(code == CODE_WRONG and any("missing" in f["problem"] for f in report["partitions"][0]["findings"]),
           f"a missing segment: {report}")
    os.rename(first + ".away", first)
    code, report = verify(first)
    expect(code == CODE_WELL and report["partitions"][0]["segments"] == 1, f"one file alone: {report}")


def check_usage(directory):
    for arguments, wanted in ((["verify"], CODE_USAGE), (["nonsense"], CODE_USAGE),
                              (["verify", "--format", "xml", directory], CODE_USAGE),
                              (["verify", directory + "/nothing"], CODE_UNREADABLE),
                              (["dump", directory + "/nothing.log"], CODE_UNREADABLE), (["--help"], CODE_WELL)):
        code, out, err = ringlog_log(*arguments)
        expect(code == wanted and (out or err), f"ringlog log {arguments}: {code} {out} {err}")


def main():
    directory = tempfile.mkdtemp(prefix="ringlog-log-")
    try:
        data = make_data(directory)
        partition_directory = f"{data}/t-0"
        partition = check_well(data)
        check_dump(partition_directory, partition)
        check_usage(directory)
        check_tail(partition_directory, data)
        flips = flip_everything(partition_directory, data)
        check_well(data)
        print(f"ok: {partition['batches']} batches, {flips} flipped bytes noticed")
    finally:
        shutil.rmtree(directory)


main()
