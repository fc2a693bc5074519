"""tests/durability/scenario_start.py — how long a start takes, after kill -9 and after a clean stop."""
import time

from confluent_kafka import Producer

from broker_process import Broker, Failed
from record_load import create_topic


def fill(address, topic, partitions, megabytes):
    failed = []
    producer = Producer({"bootstrap.servers": address, "acks": 1, "linger.ms": 20,
                         "batch.size": 1000000, "queue.buffering.max.messages": 20000,
                         "log_level": 0})
    value = bytes(range(256)) * 256
    for i in range(megabytes * 16):
        while True:
            try:
                producer.produce(topic, partition=i % partitions, value=value,
                                 on_delivery=lambda e, m: failed.append(e) if e else None)
                break
            except BufferError:
                producer.poll(0.05)
        producer.poll(0)
    if producer.flush(120) > 0 or failed:
        raise Failed(f"the load was not written: {failed[:1]}")


def start_times(options, directory, partitions):
    broker = Broker(options.binary, f"{directory}/data", f"{directory}/broker.log", 1,
                    ["log.retention.ms=-1"])
    times = {}
    try:
        broker.start()
        create_topic(broker.address, "start", partitions)
        fill(broker.address, "start", partitions, options.megabytes)
        broker.kill()
        for name, end in (("after kill -9", broker.kill), ("again", broker.stop),
                          ("after a clean stop", broker.stop)):
            time.sleep(0.5)             # the machine takes the killed process apart
            broker.start()
            times[name] = int(broker.ready_line.rsplit("ms=", 1)[1])
            end()
    finally:
        broker.kill()
    return ({"starts timed": len(times)}, f"{options.megabytes} MiB in {partitions} partitions: " +
            ", ".join(f"{name} {ms} ms" for name, ms in times.items()))
