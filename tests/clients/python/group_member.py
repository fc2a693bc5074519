"""tests/clients/python/group_member.py — a member of a consumer group (../group_members.py).

  group_member.py HOST:PORT TOPIC GROUP [protocol=ASSIGNOR] [instance=ID] [session=MS] [generations=1]
  group_member.py HOST:PORT TOPIC GROUP assignor=uniform|range [instance=ID]

An assignor makes it a member of the consumer protocol (KIP-848).

With generations=1 the standard output has librdkafka's own words as well, which tell the generation.
Commits each batch at once.  Works with Debian's old confluent-kafka and with a current one.
"""
import os
import signal
import sys
import time

import confluent_kafka as ck

ADDRESS, TOPIC, GROUP = sys.argv[1:4]
OPTIONS = dict(word.split("=", 1) for word in sys.argv[4:])
COMMIT_SECONDS = 0.5            # at the latest
running = True


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")      # one write: librdkafka writes there too
    sys.stdout.flush()


def on_term(_signal, _frame):
    global running
    running = False


def settings():
    found = {"bootstrap.servers": ADDRESS, "group.id": GROUP, "enable.auto.commit": False,
             "auto.offset.reset": "earliest", "reconnect.backoff.max.ms": 500}
    if "assignor" in OPTIONS:
        found |= {"group.protocol": "consumer", "group.remote.assignor": OPTIONS["assignor"]}
    else:
        found |= {"session.timeout.ms": int(OPTIONS.get("session", 6000)), "heartbeat.interval.ms": 500,
                  "partition.assignment.strategy": OPTIONS.get("protocol", "range")}
    if "generations" in OPTIONS:
        os.dup2(1, 2)               # one stream, so that what is told stays in order
        found["debug"] = "cgrp"
    if "instance" in OPTIONS:
        found["group.instance.id"] = OPTIONS["instance"]
    return found


def commit(consumer):
    try:
        consumer.commit(asynchronous=False)
    except ck.KafkaException as error:      # a rebalance, or the broker is down: committed later
        if error.args[0].code() not in (ck.KafkaError._NO_OFFSET,):
            print("commit:", error.args[0], file=sys.stderr, flush=True)


def main():
    signal.signal(signal.SIGTERM, on_term)
    consumer = ck.Consumer(settings())
    owned, unsaved, saved_at = None, False, 0
    if "generations" in OPTIONS:    # within the callback: no later generation can come before it
        consumer.subscribe([TOPIC], on_assign=lambda _, new: say("assigned", *(p.partition for p in new)),
                           on_revoke=lambda *_: say("assigned"))
    else:
        consumer.subscribe([TOPIC])
    while running:
        message = consumer.poll(0.1)
        now = sorted(p.partition for p in consumer.assignment())
        if now != owned and "generations" not in OPTIONS:
            say("assigned", *now)
        owned = now
        if message is not None and message.error():
            if message.error().code() == ck.KafkaError._FATAL or message.error().fatal():
                say("fenced")
                return 3
            print("poll:", message.error(), file=sys.stderr, flush=True)
            continue
        if message is not None:
            say("record", message.partition(), message.offset(), message.value().decode())
            unsaved = True
        # It commits where it is: what was taken must have been told, or a kill in between loses it.
        if unsaved and (message is None or time.monotonic() > saved_at + COMMIT_SECONDS):
            commit(consumer)
            unsaved, saved_at = False, time.monotonic()
    if unsaved:
        commit(consumer)
    consumer.close()
    say("closed")
    return 0


sys.exit(main())
