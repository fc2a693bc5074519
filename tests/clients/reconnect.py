"""tests/clients/reconnect.py — kill -9 of the broker under a program that writes and reads.

The program writes to a topic and reads it at the same time.  It says `half` when it has half of its
acknowledgements, goes on by itself when the broker is back, ends with 0 when it has read each
acknowledged record, in order, and says `acknowledged N read M`.
"""
import subprocess

from harness import die_with_parent, expect, owned


def cut_in_the_middle(broker, command, timeout=130):
    owned(broker)
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=die_with_parent)
    try:
        line = program.stdout.readline()
        broker.kill()
        in_time = program.poll() is None
        broker.start()
        rest, errors = program.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        program.kill()
        rest, errors = program.communicate()
    finally:
        program.kill()
        program.wait()
    expect(line == b"half\n", f"the program said {line!r} {errors[-800:]!r}")
    expect(in_time, "the program was done before the broker was killed")
    expect(program.returncode == 0, f"ended with {program.returncode}: {errors[-800:]!r}")
    expect(rest.startswith(b"acknowledged "), f"the program said {rest[-300:]!r}")
