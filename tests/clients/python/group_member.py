"""tests/clients/python/group_member.py — a member of a consumer group (../group_members.py).

  group_member.py HOST:PORT TOPIC GROUP [protocol=ASSIGNOR] [instance=ID] [session=MS]

Commits each batch at once.  Works with Debian's old confluent-kafka and with a current one.
"""
import signal
import sys

import confluent_kafka as ck

ADDRESS, TOPIC, GROUP = sys.argv[1:4]
OPTIONS = dict(word.split("=", 1) for word in sys.argv[4:])
running = True


def say(*words):
    print(*words, flush=True)


def on_term(_signal, _frame):
    global running
    running = False


def settings():
    found = {"bootstrap.servers": ADDRESS, "group.id": GROUP, "enable.auto.commit": False,
             "auto.offset.reset": "earliest", "session.timeout.ms": int(OPTIONS.get("session", 6000)),
             "heartbeat.interval.ms": 500, "reconnect.backoff.max.ms": 500,
             "partition.assignment.strategy": OPTIONS.get("protocol", "range")}
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
    consumer.subscribe([TOPIC])
    owned, unsaved = None, False
    while running:
        message = consumer.poll(0.1)
        now = sorted(p.partition for p in consumer.assignment())
        if now != owned:
            owned = now
            say("assigned", *owned)
        if message is None:
            if unsaved:
                commit(consumer)
            unsaved = False
            continue
        if message.error():
            if message.error().code() == ck.KafkaError._FATAL or message.error().fatal():
                say("fenced")
                return 3
            print("poll:", message.error(), file=sys.stderr, flush=True)
            continue
        say("record", message.partition(), message.offset(), message.value().decode())
        unsaved = True
    if unsaved:
        commit(consumer)
    consumer.close()
    say("closed")
    return 0


sys.exit(main())
