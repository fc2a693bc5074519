"""tests/cli/test_bench_sink.py — the load generator against its own sink: every mode does its work.

    test_bench_sink.py path/to/ringlog
No timing is asserted: only that the counts belong together and that failures are told.
"""
import json
import os
import subprocess
import sys
import tempfile

BINARY = sys.argv[1]
failed = 0
passed = 0


def check(name, condition, seen):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAILED {name}: {seen}")


def bench(mode, address, *flags):
    return subprocess.run([BINARY, "bench", mode, "--bootstrap", address, "--quiet", "--format", "json", *flags],
                          capture_output=True, text=True, timeout=60, check=False)


def figures(mode, address, *flags):
    done = bench(mode, address, *flags)
    check(f"{mode} {flags} ends well", done.returncode == 0, done.stderr)
    return json.loads(done.stdout) if done.returncode == 0 else {}


sink = subprocess.Popen([BINARY, "bench", "sink", "--listen", "127.0.0.1:0", "--partitions", "1000",
                         "--record-size", "100", "--batch-size", "16384"], stdout=subprocess.PIPE, text=True)
try:
    line = sink.stdout.readline()
    check("sink says where it listens", line.startswith("ready address=127.0.0.1:"), line)
    address = line.split("=")[1].strip()

    run = figures("produce", address, "--bytes", "3000000", "--record-size", "100", "--acks", "all")
    check("produce ends after its bytes", 3_000_000 <= run.get("value_bytes", 0) < 3_100_000, run)
    check("records make up the bytes", run.get("records", 0) * 100 == run.get("value_bytes"), run)

    run = figures("produce", address, "--bytes", "3000000", "--acks", "0")
    check("acks=0 counts what was sent", run.get("value_bytes", 0) >= 3_000_000, run)

    run = figures("produce", address, "--rate", "500", "--batch-size", "1", "--seconds", "0.5")
    check("a rate is not passed", 0 < run.get("requests", 0) <= 251, run)

    run = figures("many", address, "--bytes", "200000")
    check("many has seven keyed records a request", run.get("records") == 7 * run.get("requests", 0), run)

    run = figures("consume", address, "--record-size", "100", "--repeat", "--bytes", "20000000")
    check("consume reads", run.get("value_bytes", 0) >= 20_000_000, run)

    run = figures("consume", address, "--record-size", "100", "--partitions", "1000", "--connections", "2",
                  "--fetch-size", "20000", "--repeat", "--bytes", "20000000")
    check("a consumer may have hundreds of partitions", run.get("value_bytes", 0) >= 20_000_000, run)

    run = figures("consume", address, "--record-size", "100", "--connections", "3", "--each", "--bytes", "20000000")
    check("each consumer reads everything", run.get("value_bytes", 0) >= 20_000_000, run)

    run = figures("idle", address, "--connections", "100", "--pid", str(sink.pid))
    check("idle opens all", run.get("connections") == 100, run)

    done = bench("produce", address, "--output", "kafka", "--bytes", "100000")
    check("Kafka's line", done.stdout.endswith("ms 99.9th.\n"), done.stdout)
finally:
    sink.kill()
    sink.wait()

with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, "records")
    sink = subprocess.Popen([BINARY, "bench", "sink", "--listen", "127.0.0.1:0", "--file", path],
                            stdout=subprocess.PIPE, text=True)
    try:
        address = sink.stdout.readline().split("=")[1].strip()
        run = figures("produce", address, "--bytes", "3000000", "--acks", "all")
        check("what is acknowledged is in the file", os.path.getsize(path) >= run.get("value_bytes", 1), run)
        with open(path, "rb") as file:
            check("as batches of format 2", file.read(17)[16] == 2, path)
    finally:
        sink.kill()
        sink.wait()
done = subprocess.run([BINARY, "bench", "sink", "--listen", "127.0.0.1:0", "--file", "/nowhere/records"],
                      capture_output=True, text=True, timeout=60, check=False)
check("a file that cannot be made is told", done.returncode == 1 and "/nowhere/records" in done.stderr, done)

done = bench("produce", "127.0.0.1:1", "--seconds", "0.1")
check("no broker is exit code 3", done.returncode == 3, done)
for flags in (["--acks", "7"], ["--rate", "fast"], ["--format", "xml"], ["stray"], ["--topic", ""], ["--nonsense"]):
    done = bench("produce", "127.0.0.1:1", *flags)
    check(f"{flags} is refused", done.returncode == 2 and done.stderr != "", done)
check("help", subprocess.run([BINARY, "bench", "--help"], capture_output=True, check=False).returncode == 0, "")

print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
