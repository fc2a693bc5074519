"""tests/clients/python/churn_producer.py — writes records until SIGTERM (../churn.py).

  churn_producer.py HOST:PORT TOPIC PARTITIONS PER_SECOND

Idempotent, acks=all, over kills of the broker; prints `acked PARTITION OFFSET VALUE` for each record
that was acknowledged, and ends with 0 when all were.
"""
import signal
import sys
import time

import confluent_kafka as ck

ADDRESS, TOPIC = sys.argv[1:3]
PARTITIONS, PER_SECOND = int(sys.argv[3]), int(sys.argv[4])
running, failed = True, 0


def on_term(_signal, _frame):
    global running
    running = False


def on_delivery(error, message):
    global failed
    if error:
        failed += 1
        print("not delivered:", error, file=sys.stderr, flush=True)
    else:
        sys.stdout.write(f"acked {message.partition()} {message.offset()} {message.value().decode()}\n")


def main():
    signal.signal(signal.SIGTERM, on_term)
    producer = ck.Producer({"bootstrap.servers": ADDRESS, "enable.idempotence": True, "linger.ms": 5,
                            "message.timeout.ms": 120000, "reconnect.backoff.max.ms": 500,
                            "queue.buffering.max.messages": 1000000})
    begin, count = time.monotonic(), 0
    while running:
        while count < (time.monotonic() - begin) * PER_SECOND:
            producer.produce(TOPIC, partition=count % PARTITIONS, value=f"value {count}", on_delivery=on_delivery)
            count += 1
        producer.poll(0.01)
        sys.stdout.flush()
    left = producer.flush(60)
    sys.stdout.flush()
    print(f"{count} written, {left} left, {failed} failed", file=sys.stderr, flush=True)
    return 1 if left or failed else 0


sys.exit(main())
