/* tests/clients/java/GroupAdmin.java — what Kafka's Admin client does with groups.
 *
 *   java GroupAdmin HOST:PORT PREFIX
 *
 * Prints `ok NAME` or `FAILED NAME: reason` for each check.  Compiles and runs with 3.9 and 4.3. */
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

public class GroupAdmin {
    static String broker, prefix, topic;
    static Admin admin;

    interface Check { void run() throws Exception; }

    static class Difference extends RuntimeException {
        Difference(String text) { super(text); }
    }

    static void expect(boolean good, String text) {
        if (!good) throw new Difference(text);
    }

    static void same(Object got, Object wanted, String what) {
        expect(Objects.equals(got, wanted), what + ": wanted " + wanted + ", got " + got);
    }

    static <T> T get(KafkaFuture<T> future) throws Exception { return future.get(30, TimeUnit.SECONDS); }

    static void refused(KafkaFuture<?> future, Class<?> by, String what) throws Exception {
        try {
            get(future);
        } catch (ExecutionException error) {
            expect(by.isInstance(error.getCause()), what + ": " + error.getCause());
            return;
        }
        throw new Difference(what + " was not refused");
    }

    static TopicPartition at(int partition) { return new TopicPartition(topic, partition); }

    static Map<TopicPartition, Long> offsets(String group) throws Exception {
        Map<TopicPartition, Long> found = new HashMap<>();
        get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).forEach((p, o) -> {
            if (o != null) found.put(p, o.offset());
        });
        return found;
    }

    /* A group of one member that has all partitions; kept alive by polls until it is closed. */
    static KafkaConsumer<byte[], byte[]> member(String group, String instance) {
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        p.put("group.id", group);
        p.put("client.id", "someone");
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "earliest");
        p.put("session.timeout.ms", "30000");
        if (instance != null) p.put("group.instance.id", instance);
        KafkaConsumer<byte[], byte[]> consumer =
            new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        consumer.subscribe(List.of(topic));
        long limit = System.currentTimeMillis() + 30_000;
        while (consumer.assignment().isEmpty()) {
            expect(System.currentTimeMillis() < limit, "no assignment");
            consumer.poll(Duration.ofMillis(50));
        }
        return consumer;
    }

    static String with(String word, long... committed) throws Exception {
        String group = prefix + "-" + word;
        Map<TopicPartition, OffsetAndMetadata> all = new HashMap<>();
        for (int i = 0; i < committed.length; i++) all.put(at(i), new OffsetAndMetadata(committed[i], "note " + i));
        get(admin.alterConsumerGroupOffsets(group, all).all());
        return group;
    }

    static void describes() throws Exception {
        String group = prefix + "-described";
        try (KafkaConsumer<byte[], byte[]> consumer = member(group, "inst")) {
            consumer.commitSync(Map.of(at(0), new OffsetAndMetadata(1)));
            ConsumerGroupDescription found = get(admin.describeConsumerGroups(List.of(group),
                new DescribeConsumerGroupsOptions().includeAuthorizedOperations(true)).all()).get(group);
            same(found.state().toString(), "Stable", "state");
            same(found.partitionAssignor(), "range", "assignor");
            same(found.coordinator().id(), 1, "coordinator");
            same(found.members().size(), 1, "members");
            MemberDescription one = found.members().iterator().next();
            same(one.clientId(), "someone", "client id");
            same(one.host(), "/127.0.0.1", "host");
            same(one.groupInstanceId(), Optional.of("inst"), "instance");
            same(one.assignment().topicPartitions(), Set.of(at(0), at(1), at(2)), "assignment");
            expect(found.authorizedOperations() != null && !found.authorizedOperations().isEmpty(), "no operations");
            boolean listed = false;
            for (ConsumerGroupListing g : get(admin.listConsumerGroups().all()))
                listed |= g.groupId().equals(group) && g.state().get().toString().equals("Stable");
            expect(listed, "not listed");
        }
        same(get(admin.describeConsumerGroups(List.of(group)).all()).get(group).members().size(), 1,
             "a static member stays when it closes");
        refused(admin.deleteConsumerGroups(List.of(group)).all(), GroupNotEmptyException.class, "deletion");
    }

    static void lists() throws Exception {
        String one = with("one", 3, 4), two = with("two", 5);
        same(offsets(one), Map.of(at(0), 3L, at(1), 4L), "offsets of one group");
        Map<String, Map<TopicPartition, OffsetAndMetadata>> both = get(admin.listConsumerGroupOffsets(Map.of(
            one, new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(at(1), at(2))),
            two, new ListConsumerGroupOffsetsSpec())).all());
        same(both.get(one).get(at(1)), new OffsetAndMetadata(4, "note 1"), "one, partition 1");
        same(both.get(one).get(at(2)), null, "one, partition 2");
        same(both.get(two).keySet(), Set.of(at(0)), "two");
        same(offsets(prefix + "-nobody"), Map.of(), "an unknown group");
    }

    static void alters() throws Exception {
        String group = with("altered", 3, 4);
        with("altered", 9);
        same(offsets(group), Map.of(at(0), 9L, at(1), 4L), "altered");
        try (KafkaConsumer<byte[], byte[]> consumer = member(group, null)) {
            refused(admin.alterConsumerGroupOffsets(group, Map.of(at(0), new OffsetAndMetadata(1))).all(),
                    UnknownMemberIdException.class, "altering with members");
        }
        same(offsets(group), Map.of(at(0), 9L, at(1), 4L), "still");
    }

    static void deletesOffsets() throws Exception {
        String group = with("partly", 3, 4);
        get(admin.deleteConsumerGroupOffsets(group, Set.of(at(0))).all());
        same(offsets(group), Map.of(at(1), 4L), "one deleted");
        try (KafkaConsumer<byte[], byte[]> consumer = member(group, null)) {
            refused(admin.deleteConsumerGroupOffsets(group, Set.of(at(1))).all(),
                    GroupSubscribedToTopicException.class, "deleting what is read");
        }
        refused(admin.deleteConsumerGroupOffsets(prefix + "-nobody", Set.of(at(1))).all(),
                GroupIdNotFoundException.class, "an unknown group");
    }

    static void removesMembers() throws Exception {
        String group = prefix + "-removed";
        try (KafkaConsumer<byte[], byte[]> consumer = member(group, "one")) { }
        get(admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(
            List.of(new MemberToRemove("one")))).all());
        same(get(admin.describeConsumerGroups(List.of(group)).all()).get(group).state().toString(), "Empty", "state");
        try (KafkaConsumer<byte[], byte[]> consumer = member(group, null)) {
            get(admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions()).all());
            same(get(admin.describeConsumerGroups(List.of(group)).all()).get(group).members().size(), 0, "members");
        }
    }

    static void deletes() throws Exception {
        String one = with("gone", 3), two = with("gone-too", 4);
        get(admin.deleteConsumerGroups(List.of(one, two)).all());
        same(offsets(one), Map.of(), "offsets");
        refused(admin.deleteConsumerGroups(List.of(one)).all(), GroupIdNotFoundException.class, "a second time");
    }

    static void check(String name, Check check) {
        try {
            check.run();
            System.out.println("ok " + name);
        } catch (Exception error) {
            Throwable why = error instanceof ExecutionException ? error.getCause() : error;
            System.out.println("FAILED " + name + ": " + String.valueOf(why).replace("\n", " "));
        }
    }

    public static void main(String[] args) throws Exception {
        broker = args[0];
        prefix = args[1];
        topic = prefix + "-topic";
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        admin = Admin.create(p);
        get(admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1))).all());
        check("lists and describes groups", GroupAdmin::describes);
        check("lists offsets of groups", GroupAdmin::lists);
        check("alters offsets", GroupAdmin::alters);
        check("deletes offsets", GroupAdmin::deletesOffsets);
        check("removes members", GroupAdmin::removesMembers);
        check("deletes groups", GroupAdmin::deletes);
        admin.close();
        System.exit(0);
    }
}
