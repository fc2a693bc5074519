"""tests/limits/groups.py — how many groups, how many members, and what a healthy client notices of a rebalance."""
import struct
import time

import frames
from cases import Attack, MIB, resident
from frames import uvarint
from group_members import SchemaClient
from harness import case, expect, expect_equal, new_topic

OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT, SYNC_GROUP = 8, 9, 10, 11, 12, 14
DESCRIBE_GROUPS, CONSUMER_GROUP_HEARTBEAT, CONSUMER_GROUP_DESCRIBE = 15, 68, 69
LOADING, INCONSISTENT_GROUP_PROTOCOL, INVALID_REQUEST = 14, 23, 42
PER_CONNECTION = 50                     # parked requests; a connection may have 64 on their way
METADATA = b"\0" * 60
PART = b"\0" * 100


def blob(data):
    return struct.pack(">i", len(data)) + data


def join(group, member="", metadata=METADATA, session_ms=120000):
    body = frames.string(group) + struct.pack(">ii", session_ms, 120000) + frames.string(member)
    body += frames.string("consumer") + struct.pack(">i", 1) + frames.string("range") + blob(metadata)
    return frames.frame(JOIN_GROUP, 3, body)


def sync(group, generation, member, parts=()):
    body = frames.string(group) + struct.pack(">i", generation) + frames.string(member)
    body += struct.pack(">i", len(parts)) + b"".join(frames.string(m) + blob(PART) for m in parts)
    return frames.frame(SYNC_GROUP, 1, body)


def heartbeat(group, generation, member):
    return frames.frame(HEARTBEAT, 1, frames.string(group) + struct.pack(">i", generation) + frames.string(member))


def commit(group, generation, member, topic, offset):
    body = frames.string(group) + struct.pack(">i", generation) + frames.string(member) + struct.pack(">q", -1)
    body += struct.pack(">i", 1) + frames.string(topic) + struct.pack(">iiq", 1, 0, offset) + frames.string("")
    return frames.frame(OFFSET_COMMIT, 2, body)


def fetch_offset(group, topic):
    body = frames.string(group) + struct.pack(">i", 1) + frames.string(topic) + struct.pack(">ii", 1, 0)
    return frames.frame(OFFSET_FETCH, 1, body)


class Words:
    """An answer, word by word, behind its correlation id."""

    def __init__(self, data):
        self.data, self.at = data, 4

    def number(self, kind):
        value = struct.unpack_from(">" + kind, self.data, self.at)[0]
        self.at += struct.calcsize(">" + kind)
        return value

    def text(self):
        count = self.number("h")
        self.at += count
        return self.data[self.at - count:self.at].decode()

    def skip(self):
        count = self.number("i")
        self.at += count


def joined(data):
    """(error, generation, leads, own id, ids of all)"""
    words = Words(data)
    words.number("i")
    error, generation = words.number("h"), words.number("i")
    words.text()
    leader, own, ids = words.text(), words.text(), []
    for _ in range(words.number("i")):
        ids.append(words.text())
        words.skip()
    return error, generation, leader == own, own, ids


def error_of(data):
    """Of SyncGroup and Heartbeat 1."""
    return struct.unpack_from(">h", data, 8)[0]


def exchange(sock, requests):
    """Answers, at most so many requests on their way."""
    answers = []
    for at in range(0, len(requests), PER_CONNECTION):
        some = requests[at:at + PER_CONNECTION]
        sock.sendall(b"".join(some))
        answers += [frames.reply(sock) for _ in some]
    return answers


def find_coordinator(broker):
    sock = frames.connect(broker.port, 60)
    for _ in range(100):
        if struct.unpack_from(">h", frames.call(sock, frames.frame(FIND_COORDINATOR, 0, frames.string("g"))), 4)[0] == 0:
            return sock
        time.sleep(0.1)
    raise AssertionError("no coordinator")


def offsets_of(sock, names, topic):
    """What each has committed, once its partition has been read."""
    offsets, asked, limit = [None] * len(names), list(range(len(names))), time.monotonic() + 30
    while asked and time.monotonic() < limit:
        answers = exchange(sock, [fetch_offset(names[i], topic) for i in asked])
        for i, answer in zip(asked, answers):
            offsets[i] = struct.unpack_from(">q", answer, 4 + 4 + 2 + len(topic) + 4 + 4)[0]
        asked = [i for i, a in zip(asked, answers) if struct.unpack_from(">h", a, len(a) - 2)[0] == LOADING]
    return offsets


# ---- many groups

@case("limits", "10,000 groups with a member and an offset each: memory, and all of it there after kill -9", timeout=240)
def many_groups(broker):
    count, topic = 10000, new_topic("read")
    sock = find_coordinator(broker)
    frames.call(sock, frames.create_topic(topic, 1))
    names = [f"group-{i}" for i in range(count)]
    before, begin = resident(broker), time.monotonic()
    members = [joined(a) for a in exchange(sock, [join(n) for n in names])]
    expect(all(m[0] == 0 and m[2] for m in members), f"JoinGroup: {[m[:3] for m in members if m[0] != 0 or not m[2]][:3]}")
    answers = exchange(sock, [sync(n, m[1], m[3], [m[3]]) for n, m in zip(names, members)])
    expect(all(error_of(a) == 0 for a in answers), "SyncGroup")
    answers = exchange(sock, [commit(n, m[1], m[3], topic, i) for i, (n, m) in enumerate(zip(names, members))])
    expect(all(struct.unpack_from(">h", a, len(a) - 2)[0] == 0 for a in answers), "OffsetCommit")
    took, grown = time.monotonic() - begin, resident(broker) - before
    sock.close()
    broker.kill()
    begin = time.monotonic()
    broker.start()
    sock = find_coordinator(broker)
    expect_equal(offsets_of(sock, names, topic), list(range(count)), "offsets after the restart")
    back = time.monotonic() - begin
    answers = exchange(sock, [heartbeat(n, m[1], m[3]) for n, m in zip(names, members)])
    expect(all(error_of(a) == 0 for a in answers), "Heartbeat after the restart")
    sock.close()
    print(f"        made in {took:.1f} s, {grown / count:.0f} bytes each; every offset is there {back:.2f} s after "
          "kill -9", flush=True)
    expect(grown <= 64 * MIB, f"{grown / MIB:.0f} MiB for 10,000 groups")


# ---- many members

class Members:
    """All members of one group, many on a connection."""

    def __init__(self, broker, count):
        self.group, self.generation = "limits", -1
        self.socks = [frames.connect(broker.port, 120, source=f"127.0.0.{2 + i % 8}")
                      for i in range((count + PER_CONNECTION - 1) // PER_CONNECTION)]
        self.ids = [[""] * min(PER_CONNECTION, count - i * PER_CONNECTION) for i in range(len(self.socks))]

    def each(self, request):
        """request(id) of everybody at once; answers by connection."""
        for sock, ids in zip(self.socks, self.ids):
            sock.sendall(b"".join(request(i) for i in ids))
        return [[frames.reply(sock) for _ in ids] for sock, ids in zip(self.socks, self.ids)]

    def join(self, metadata):
        answers = [[joined(a) for a in some] for some in self.each(lambda i: join(self.group, i, metadata))]
        flat = [a for some in answers for a in some]
        expect(all(a[0] == 0 for a in flat), f"JoinGroup: error {[a[0] for a in flat if a[0] != 0][:3]}")
        expect_equal({a[1] for a in flat}, {max(a[1] for a in flat)}, "generations told")
        expect(flat[0][1] > self.generation, f"generation {flat[0][1]} after {self.generation}")
        self.generation = flat[0][1]
        self.ids = [[a[3] for a in some] for some in answers]
        leaders = [a for a in flat if a[2]]
        expect_equal(len(leaders), 1, "leaders")
        expect_equal(sorted(leaders[0][4]), sorted(i for some in self.ids for i in some), "members told to the leader")
        self.leader, self.told = leaders[0][3], leaders[0][4]

    def sync(self):
        answers = self.each(lambda i: sync(self.group, self.generation, i, self.told if i == self.leader else ()))
        for answer in (a for some in answers for a in some):
            expect_equal((error_of(answer), answer[-len(PART):]), (0, PART), "SyncGroup")

    def beat(self):
        answers = self.each(lambda i: heartbeat(self.group, self.generation, i))
        expect_equal({error_of(a) for some in answers for a in some}, {0}, "Heartbeat")

    def close(self):
        for sock in self.socks:
            sock.close()


def rebalances(broker, count, most_mib, worst_seconds):
    find_coordinator(broker).close()
    members = Members(broker, count)
    with Attack(broker, most_mib) as attack:
        began = time.monotonic()
        for generation in range(3):
            members.join(METADATA + bytes([generation]))
            members.sync()
            members.beat()
            attack.look()
        took = time.monotonic() - began
    members.close()
    print(f"        {count} members, 3 generations in {took:.1f} s", flush=True)
    expect(attack.client.worst <= worst_seconds, f"a healthy client waited {attack.client.worst:.2f} s")


@case("limits", "a group of 1,000 members rebalances: nobody beside it waits for that",
      timeout=120, settings=("group.initial.rebalance.delay.ms=1000",))
def rebalance_of_1000(broker):
    rebalances(broker, 1000, 64, 1.0)


@case("limits", "a group of 10,000 members rebalances", timeout=240, settings=("group.initial.rebalance.delay.ms=5000",))
def rebalance_of_10000(broker):
    rebalances(broker, 10000, 256, 3.0)


@case("limits", "offsets asked for a hundred thousand times in one request are not answered so many times")
def asked_again_and_again(broker):
    group, topic = new_topic("often-group"), new_topic("often")
    with frames.connect(broker.port) as sock:
        frames.call(sock, frames.create_topic(topic, 1))
    client = SchemaClient(broker.address, 30)
    limit = time.monotonic() + 30
    while client.call("FindCoordinator", 2, {"key": group, "key_type": 0})["error_code"]:
        expect(time.monotonic() < limit, "no coordinator")
    client.call("OffsetCommit", 7, {"group_id": group, "generation_id_or_member_epoch": -1, "member_id": "", "topics": [
        {"name": topic, "partitions": [{"partition_index": 0, "committed_offset": 0, "committed_metadata": "x" * 4000}]}]})
    often = {"group_id": group, "topics": [{"name": topic, "partition_indexes": [0] * 100000}]}
    once = {"group_id": group, "topics": [{"name": topic, "partition_indexes": [0]}]}
    with Attack(broker, 100) as attack:
        # 400 MB of answers; the group that asks for them is refused, and others beside it are not.
        for asked, errors in (([often], [-1]), ([once, often, once], [0, -1, 0])):
            answer = client.call("OffsetFetch", 8, {"require_stable": False, "groups": asked})
            expect_equal([g["error_code"] for g in answer["groups"]], errors, "error codes")
            attack.look()
    client.close()


# ---- what is said of groups

def compact(text):
    return uvarint(len(text) + 1) + text.encode()


def flexible(key, version, body):
    head = struct.pack(">hhi", key, version, 1) + frames.string("limits") + b"\0"
    return struct.pack(">i", len(head) + len(body) + 1) + head + body + b"\0"


def consumer_heartbeat(group, member, names, epoch=0):
    """ConsumerGroupHeartbeat 0: joins, or tells everything."""
    body = compact(group) + compact(member) + struct.pack(">i", epoch) + b"\0\0" + struct.pack(">i", 30000)
    return flexible(CONSUMER_GROUP_HEARTBEAT, 0, body + uvarint(len(names) + 1) + b"".join(compact(n) for n in names) +
                    b"\0" + uvarint(1))


def error_of_consumer(data):
    """Of ConsumerGroupHeartbeat 0, behind correlation id, tags and throttle time."""
    return struct.unpack_from(">h", data, 9)[0]


def described(sock, request, first_at):
    """The size of the answer, and the error of its first group."""
    answer = frames.call(sock, request)
    return len(answer), struct.unpack_from(">h", answer, first_at)[0]


@case("limits", "a fat group is described a thousand times: as often as it fits into an answer", timeout=120)
def fat_descriptions(broker):
    sock, times = find_coordinator(broker), 1000
    part = b"p" * (8 * MIB)
    generation, member = joined(frames.call(sock, join("classic")))[1:4:2]
    body = frames.string("classic") + struct.pack(">i", generation) + frames.string(member)
    body += struct.pack(">i", 1) + frames.string(member) + blob(part)
    expect_equal(error_of(frames.call(sock, frames.frame(SYNC_GROUP, 1, body))), 0, "SyncGroup")
    names = [f"{i:05}" + "n" * 32000 for i in range(256)]
    expect_equal(error_of_consumer(frames.call(sock, consumer_heartbeat("consumer", "a", names))), 0, "heartbeat")
    size, error = described(sock, frames.frame(DESCRIBE_GROUPS, 0, struct.pack(">i", times) +
                                                      frames.string("classic") * times), 8)
    expect_equal(error, 0, "DescribeGroups: the first")
    expect(len(part) < size < 160 * MIB, f"DescribeGroups: an answer of {size} bytes")
    size, error = described(sock, flexible(CONSUMER_GROUP_DESCRIBE, 0, uvarint(times + 1) +
                                                  compact("consumer") * times + b"\0"), 4 + 1 + 4 + 2)
    expect_equal(error, 0, "ConsumerGroupDescribe: the first")
    expect(len(part) < size < 160 * MIB, f"ConsumerGroupDescribe: an answer of {size} bytes")
    sock.close()


@case("limits", "a member cannot own four million partitions, and saying so costs little", timeout=120)
def fat_ownership(broker):
    sock = find_coordinator(broker)
    expect_equal(error_of_consumer(frames.call(sock, consumer_heartbeat("g", "a", ["t"]))), 0, "joins")
    body = compact("g") + compact("a") + struct.pack(">i", 2) + b"\0\0" + struct.pack(">i", -1) + b"\0\0" + uvarint(2)
    request = flexible(CONSUMER_GROUP_HEARTBEAT, 0,
                       body + b"\1" * 16 + uvarint(4_000_001) + b"\0\0\0\7" * 4_000_000 + b"\0")
    with Attack(broker, 64, p99_seconds=1.0) as attack:
        expect_equal(error_of_consumer(frames.call(sock, request)), INVALID_REQUEST, "the error")
        attack.look()
    sock.close()


@case("limits", "members of the classic protocol in a consumer group with 40,000 protocols each: nobody waits", timeout=120)
def many_protocols(broker):
    sock, metadata = find_coordinator(broker), struct.pack(">hii", 0, 0, -1)

    def join_with(prefix):
        body = frames.string("g") + struct.pack(">ii", 30000, 30000) + frames.string("") + frames.string("consumer")
        body += struct.pack(">i", 40000) + b"".join(frames.string(f"{prefix}{i}") + blob(metadata) for i in range(40000))
        return frames.frame(JOIN_GROUP, 3, body)
    expect_equal(error_of_consumer(frames.call(sock, consumer_heartbeat("g", "a", ["t"]))), 0, "heartbeat")
    first, other = join_with("p"), join_with("q")
    with Attack(broker, 64, p99_seconds=1.0) as attack:
        expect_equal(joined(frames.call(sock, first))[0], 0, "JoinGroup")
        expect_equal(joined(frames.call(sock, other))[0], INCONSISTENT_GROUP_PROTOCOL, "JoinGroup with others")
        attack.look()
    sock.close()
    expect(attack.client.worst <= 2.0, f"a healthy client waited {attack.client.worst:.2f} s")
