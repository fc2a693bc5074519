// tests/clients/vectors/src/GroupRecords.java - records of __consumer_offsets as Kafka writes them.
//
// Each line of tests/coordinate/vectors/consumer_group_records.txt is "key value text": the bytes of
// both in hexadecimal, and what Kafka's own classes for them say of themselves ("-" and "null" for a
// tombstone).  tests/coordinate/test_consumer_group_record.c reads and writes the same bytes.
//
//     java -cp … GroupRecords write FILE     the file anew: seeded, so that it changes with Kafka only
//     java -cp … GroupRecords check FILE     do Kafka's classes read the file, and write the same?
//
// Ends with "N passed, N failed"; exit status 1 if anything failed or nothing was there.

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupCurrentMemberAssignmentKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupCurrentMemberAssignmentValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMemberMetadataKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMemberMetadataValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMetadataKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupMetadataValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupPartitionMetadataKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupPartitionMetadataValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupRegularExpressionKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupRegularExpressionValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupTargetAssignmentMemberKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupTargetAssignmentMemberValue;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupTargetAssignmentMetadataKey;
import org.apache.kafka.coordinator.group.generated.ConsumerGroupTargetAssignmentMetadataValue;
import org.apache.kafka.coordinator.group.generated.CoordinatorRecordType;

public final class GroupRecords {
    private static final HexFormat HEX = HexFormat.of();
    private static final int RECORDS_OF_A_KIND = 12;
    private final Random random = new Random(848);

    public static void main(String[] args) throws IOException {
        Path file = Path.of(args[1]);
        if (args[0].equals("write")) {
            new GroupRecords().write(file);
        }
        int failed = 0;
        List<String> lines = Files.readAllLines(file, StandardCharsets.UTF_8);
        for (String line : lines) {
            try {
                check(line.split(" ", 3));
            } catch (RuntimeException e) {
                failed++;
                System.out.println("FAILED " + line + ": " + e);
            }
        }
        System.out.println((lines.size() - failed) + " passed, " + failed + " failed");
        System.exit(failed == 0 && !lines.isEmpty() ? 0 : 1);
    }

    // ---- what the file says, to Kafka's classes

    private static void check(String[] words) {
        ByteBuffer keyBytes = ByteBuffer.wrap(HEX.parseHex(words[0]));
        short keyVersion = keyBytes.getShort();
        CoordinatorRecordType type = CoordinatorRecordType.fromId(keyVersion);
        ApiMessage key = type.newRecordKey();
        key.read(new ByteBufferAccessor(keyBytes), (short) 0);
        expect(HEX.formatHex(bytes(keyVersion, key)), words[0]);
        ApiMessage value = null;
        if (!words[1].equals("-")) {
            ByteBuffer valueBytes = ByteBuffer.wrap(HEX.parseHex(words[1]));
            short version = valueBytes.getShort();
            value = type.newRecordValue();
            value.read(new ByteBufferAccessor(valueBytes), version);
            expect(String.valueOf(valueBytes.remaining()), "0");
            expect(HEX.formatHex(bytes(version, value)), words[1]);
        }
        expect(key + " " + value, words[2]);
    }

    private static void expect(String ours, String theirs) {
        if (!ours.equals(theirs)) {
            throw new IllegalStateException("Kafka says " + ours);
        }
    }

    private static byte[] bytes(short prefix, ApiMessage message) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(2 + message.size(cache, (short) 0));
        buffer.putShort(prefix);
        message.write(new ByteBufferAccessor(buffer), cache, (short) 0);
        return buffer.array();
    }

    // ---- the file anew

    private void write(Path file) throws IOException {
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(file))) {
            for (int i = 0; i < RECORDS_OF_A_KIND; i++) {
                String group = text(i);
                String member = text(24);
                line(out, 3, new ConsumerGroupMetadataKey().setGroupId(group), metadata());
                line(out, 4, new ConsumerGroupPartitionMetadataKey().setGroupId(group), partitionMetadata());
                line(out, 5, new ConsumerGroupMemberMetadataKey().setGroupId(group).setMemberId(member), member());
                line(out, 6, new ConsumerGroupTargetAssignmentMetadataKey().setGroupId(group), targetMetadata());
                line(out, 7, new ConsumerGroupTargetAssignmentMemberKey().setGroupId(group).setMemberId(member),
                     targetMember());
                line(out, 8, new ConsumerGroupCurrentMemberAssignmentKey().setGroupId(group).setMemberId(member),
                     currentMember());
                line(out, 16, new ConsumerGroupRegularExpressionKey().setGroupId(group)
                     .setRegularExpression("t" + i + ".*"), regex());
            }
            line(out, 5, new ConsumerGroupMemberMetadataKey().setGroupId("g").setMemberId("m"), null);
            line(out, 16, new ConsumerGroupRegularExpressionKey().setGroupId("g").setRegularExpression(".*"), null);
        }
    }

    private static void line(PrintWriter out, int kind, ApiMessage key, ApiMessage value) {
        out.println(HEX.formatHex(bytes((short) kind, key)) + " " +
                    (value == null ? "-" : HEX.formatHex(bytes((short) 0, value))) + " " + key + " " + value);
    }

    private ApiMessage metadata() {
        return new ConsumerGroupMetadataValue().setEpoch(number()).setMetadataHash(random.nextBoolean() ? 0 : random.nextLong());
    }

    private ApiMessage partitionMetadata() {
        List<ConsumerGroupPartitionMetadataValue.TopicMetadata> topics = new ArrayList<>();
        for (int i = random.nextInt(3); i > 0; i--) {
            topics.add(new ConsumerGroupPartitionMetadataValue.TopicMetadata().setTopicId(uuid())
                       .setTopicName(text(5)).setNumPartitions(number()));
        }
        return new ConsumerGroupPartitionMetadataValue().setTopics(topics);
    }

    private ApiMessage member() {
        ConsumerGroupMemberMetadataValue value = new ConsumerGroupMemberMetadataValue()
            .setInstanceId(textOrNull()).setRackId(textOrNull()).setClientId(text(random.nextInt(9)))
            .setClientHost("/127.0.0." + random.nextInt(200)).setSubscribedTopicNames(names())
            .setSubscribedTopicRegex(textOrNull()).setRebalanceTimeoutMs(number()).setServerAssignor(textOrNull()).setClassicMemberMetadata(null);
        if (random.nextBoolean()) {
            List<ConsumerGroupMemberMetadataValue.ClassicProtocol> protocols = new ArrayList<>();
            for (int i = random.nextInt(3); i > 0; i--) {
                byte[] metadata = new byte[random.nextInt(200)];
                random.nextBytes(metadata);
                protocols.add(new ConsumerGroupMemberMetadataValue.ClassicProtocol().setName(text(6)).setMetadata(metadata));
            }
            value.setClassicMemberMetadata(new ConsumerGroupMemberMetadataValue.ClassicMemberMetadata()
                .setSessionTimeoutMs(1 + random.nextInt(300000)).setSupportedProtocols(protocols));
        }
        return value;
    }

    private ApiMessage targetMetadata() {
        return new ConsumerGroupTargetAssignmentMetadataValue().setAssignmentEpoch(number())
            .setAssignmentTimestamp(random.nextBoolean() ? 0 : random.nextLong());
    }

    private ApiMessage targetMember() {
        List<ConsumerGroupTargetAssignmentMemberValue.TopicPartition> topics = new ArrayList<>();
        for (int i = random.nextInt(4); i > 0; i--) {
            topics.add(new ConsumerGroupTargetAssignmentMemberValue.TopicPartition().setTopicId(uuid())
                       .setPartitions(numbers(random.nextInt(150))));
        }
        return new ConsumerGroupTargetAssignmentMemberValue().setTopicPartitions(topics);
    }

    private ApiMessage currentMember() {
        return new ConsumerGroupCurrentMemberAssignmentValue().setMemberEpoch(number()).setPreviousMemberEpoch(number())
            .setState((byte) random.nextInt(128)).setAssignedPartitions(currentTopics())
            .setPartitionsPendingRevocation(currentTopics());
    }

    private List<ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions> currentTopics() {
        List<ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions> topics = new ArrayList<>();
        for (int i = random.nextInt(4); i > 0; i--) {
            int count = 1 + random.nextInt(60);
            topics.add(new ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions().setTopicId(uuid())
                       .setPartitions(numbers(count)).setAssignmentEpochs(random.nextBoolean() ? null : numbers(count)));
        }
        return topics;
    }

    private ApiMessage regex() {
        return new ConsumerGroupRegularExpressionValue().setTopics(names()).setVersion(random.nextLong())
            .setTimestamp(random.nextLong());
    }

    private int number() {
        return random.nextInt() >> random.nextInt(32);
    }

    private List<Integer> numbers(int count) {
        List<Integer> all = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            all.add(number());
        }
        return all;
    }

    private Uuid uuid() {
        return new Uuid(random.nextLong(), random.nextLong());
    }

    private List<String> names() {
        List<String> all = new ArrayList<>();
        for (int i = random.nextInt(4); i > 0; i--) {
            all.add(text(random.nextInt(140)));
        }
        return all;
    }

    private String textOrNull() {
        return random.nextBoolean() ? null : text(random.nextInt(20));
    }

    private String text(int length) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append("abcdefghijklmnopqrstuvwxyz-_.0189".charAt(random.nextInt(33)));
        }
        return text.toString();
    }
}
