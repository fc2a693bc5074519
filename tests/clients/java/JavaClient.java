/* tests/clients/java/JavaClient.java — Apache Kafka's Java client against a broker.
 *
 *   java JavaClient HOST:PORT PREFIX
 *
 * Each check uses topics of its own, named PREFIX-something, and prints `ok NAME` or
 * `FAILED NAME: reason`.  No check uses a consumer group.  Compiles and runs with 3.9 and 4.3. */
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class JavaClient {
    static final long SECONDS = 30;
    static String broker, prefix;
    static Admin admin;
    static Producer<byte[], byte[]> shared;     // default settings: acks=all, idempotent

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

    static byte[] bytes(String text) { return text.getBytes(StandardCharsets.UTF_8); }

    static String text(byte[] bytes) {
        return bytes == null ? null : new String(bytes, StandardCharsets.UTF_8);
    }

    static Properties common(String... options) {
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        for (int i = 0; i < options.length; i += 2) p.put(options[i], options[i + 1]);
        return p;
    }

    static KafkaProducer<byte[], byte[]> producer(String... options) {
        return new KafkaProducer<>(common(options), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String... options) {
        Properties p = common(options);
        p.putIfAbsent("auto.offset.reset", "none");
        return new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static <T> T get(Future<T> future) throws Exception {
        try {
            return future.get(SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException wrapped) {
            throw wrapped.getCause() instanceof Exception e ? e : wrapped;
        }
    }

    /* Made, and every partition served: Kafka answers CreateTopics before that. */
    static String create(String word, int partitions, Map<String, String> configs) throws Exception {
        String topic = prefix + "-" + word;
        get(admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs))).all());
        waitForLeaders(topic, partitions);
        return topic;
    }

    static String create(String word, int partitions) throws Exception {
        return create(word, partitions, Map.of());
    }

    static void waitForLeaders(String topic, int partitions) throws Exception {
        Map<TopicPartition, OffsetSpec> ask = new HashMap<>();
        for (int i = 0; i < partitions; i++) ask.put(new TopicPartition(topic, i), OffsetSpec.latest());
        long limit = System.currentTimeMillis() + SECONDS * 1000;
        while (true) {
            try {
                get(admin.listOffsets(ask).all());
                return;
            } catch (UnknownTopicOrPartitionException | LeaderNotAvailableException notYet) {
                expect(System.currentTimeMillis() < limit, "a new topic has no leaders: " + notYet);
            }
        }
    }

    static void produce(Producer<byte[], byte[]> producer, String topic, int first, int last)
            throws Exception {
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        for (int i = first; i < last; i++)
            futures.add(producer.send(new ProducerRecord<>(topic, 0, bytes("key" + i % 7), value(i))));
        producer.flush();
        for (Future<RecordMetadata> future : futures) get(future);
    }

    /* Value i: 0 to some thousand bytes, with its number in front. */
    static byte[] value(int i) {
        byte[] value = Arrays.copyOf(bytes("value " + i + " "), 20 + (i * 37) % 3000);
        Arrays.fill(value, 12, value.length, (byte) ('a' + i % 26));
        return value;
    }

    /* Exactly the records first .. last - 1 from where the consumer stands to the end. */
    static void expectRecords(Consumer<byte[], byte[]> consumer, TopicPartition partition, int first,
                              int last) {
        long limit = System.currentTimeMillis() + SECONDS * 1000;
        long end = consumer.endOffsets(List.of(partition)).get(partition);
        same(end, (long) last, "end offset");
        int next = first;
        while (consumer.position(partition) < end) {
            expect(System.currentTimeMillis() < limit, "no record " + next + " in time");
            for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                same(r.offset(), (long) next, "offset");
                same(text(r.key()), "key" + next % 7, "key at offset " + next);
                expect(Arrays.equals(r.value(), value(next)), "another value at offset " + next);
                next++;
            }
        }
        same(next, last, "records read");
    }

    static void roundTrip(String word, int count, String... options) throws Exception {
        String topic = create(word, 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (Producer<byte[], byte[]> producer = producer(options);
             Consumer<byte[], byte[]> consumer = consumer()) {
            produce(producer, topic, 0, count);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long limit = System.currentTimeMillis() + SECONDS * 1000;   // acks=0 tells no moment
            while (consumer.endOffsets(List.of(partition)).get(partition) < count)
                expect(System.currentTimeMillis() < limit, "only some of the records arrived");
            expectRecords(consumer, partition, 0, count);
        }
    }

    static void defaults() throws Exception { roundTrip("defaults", 5000); }

    static void acks() throws Exception {
        roundTrip("acks0", 500, "acks", "0", "enable.idempotence", "false");
        roundTrip("acks1", 500, "acks", "1", "enable.idempotence", "false");
        roundTrip("acksall", 500, "acks", "all", "enable.idempotence", "false");
    }

    static void codecs() throws Exception {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd"))
            roundTrip(codec, 1000, "compression.type", codec, "linger.ms", "20");
    }

    static void smallBatches() throws Exception {
        roundTrip("small", 3000, "batch.size", "200", "linger.ms", "0");
    }

    static void autoCreate() throws Exception {
        String topic = prefix + "-auto";
        RecordMetadata told = get(shared.send(new ProducerRecord<>(topic, bytes("k"), bytes("v"))));
        same(told.offset(), 0L, "offset of the first record");
    }

    static void positions() throws Exception {
        String topic = create("positions", 2);
        TopicPartition p = new TopicPartition(topic, 0), empty = new TopicPartition(topic, 1);
        produce(shared, topic, 0, 1000);
        try (Consumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(List.of(p, empty));
            consumer.seekToBeginning(List.of(p, empty));
            same(consumer.position(empty), 0L, "position in an empty partition");
            expectRecords(consumer, p, 0, 1000);
            consumer.seek(p, 321);
            expectRecords(consumer, p, 321, 1000);
            consumer.seekToEnd(List.of(p));
            expectRecords(consumer, p, 1000, 1000);
            produce(shared, topic, 1000, 1010);
            expectRecords(consumer, p, 1000, 1010);
            same(consumer.beginningOffsets(List.of(p, empty)), Map.of(p, 0L, empty, 0L), "beginnings");
            same(consumer.endOffsets(List.of(p, empty)), Map.of(p, 1010L, empty, 0L), "ends");
            List<PartitionInfo> parts = consumer.partitionsFor(topic);
            same(parts.size(), 2, "partitions");
            expect(consumer.listTopics().containsKey(topic), "the topic is not listed");
        }
    }

    static void times() throws Exception {
        String topic = create("times", 2);
        TopicPartition p = new TopicPartition(topic, 0), empty = new TopicPartition(topic, 1);
        long base = System.currentTimeMillis() - 3_600_000;
        for (int i = 0; i < 100; i++)
            shared.send(new ProducerRecord<>(topic, 0, base + i * 100, bytes("key" + i % 7), value(i)));
        shared.flush();
        try (Consumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(List.of(p));
            OffsetAndTimestamp at = consumer.offsetsForTimes(Map.of(p, base + 4250)).get(p);
            same(at.offset(), 43L, "offset for a time");
            same(at.timestamp(), base + 4300, "timestamp found");
            same(consumer.offsetsForTimes(Map.of(p, base + 4300)).get(p).offset(), 43L, "exact time");
            same(consumer.offsetsForTimes(Map.of(p, 0L)).get(p).offset(), 0L, "time 0");
            same(consumer.offsetsForTimes(Map.of(p, base + 9901)).get(p), null, "after the last");
            same(consumer.offsetsForTimes(Map.of(empty, base)).get(empty), null, "empty partition");
            consumer.seek(p, 43);
            expectRecords(consumer, p, 43, 100);
        }
    }

    static void headers() throws Exception {
        String topic = create("headers", 1);
        long when = System.currentTimeMillis() - 60_000;
        List<Header> headers = List.of(new RecordHeader("a", bytes("1")), new RecordHeader("a", new byte[0]),
                                       new RecordHeader("null", null),
                                       new RecordHeader("bin", new byte[] { 0, -1, 127 }));
        get(shared.send(new ProducerRecord<>(topic, 0, when, null, null, headers)));
        TopicPartition p = new TopicPartition(topic, 0);
        try (Consumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(List.of(p));
            consumer.seek(p, 0);
            ConsumerRecord<byte[], byte[]> r = consumer.poll(Duration.ofSeconds(SECONDS)).iterator().next();
            same(r.key(), null, "key");
            same(r.value(), null, "value");
            same(r.timestamp(), when, "timestamp");
            same(r.timestampType(), TimestampType.CREATE_TIME, "timestamp type");
            same(List.of(r.headers().toArray()), headers, "headers");
        }
    }

    static void logAppendTime() throws Exception {
        String topic = create("appendtime", 1, Map.of("message.timestamp.type", "LogAppendTime"));
        long before = System.currentTimeMillis();
        RecordMetadata told = get(shared.send(new ProducerRecord<>(topic, 0, 1000L, null, value(0))));
        long after = System.currentTimeMillis();
        expect(told.timestamp() >= before && told.timestamp() <= after, "told time " + told.timestamp());
        TopicPartition p = new TopicPartition(topic, 0);
        try (Consumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(List.of(p));
            consumer.seek(p, 0);
            ConsumerRecord<byte[], byte[]> r = consumer.poll(Duration.ofSeconds(SECONDS)).iterator().next();
            same(r.timestampType(), TimestampType.LOG_APPEND_TIME, "timestamp type");
            same(r.timestamp(), told.timestamp(), "timestamp read");
        }
    }

    static void largeRecords() throws Exception {
        String topic = create("large", 1);
        byte[] big = new byte[1_000_000];
        new Random(1).nextBytes(big);
        try (Producer<byte[], byte[]> producer = producer("max.request.size", "10000000")) {
            get(producer.send(new ProducerRecord<>(topic, 0, null, big)));
            try {
                get(producer.send(new ProducerRecord<>(topic, 0, null, new byte[2_000_000])));
                throw new Difference("2 MB were accepted");
            } catch (RecordTooLargeException wanted) { }
            get(producer.send(new ProducerRecord<>(topic, 0, null, bytes("after"))));
        }
        TopicPartition p = new TopicPartition(topic, 0);
        try (Consumer<byte[], byte[]> consumer = consumer("max.partition.fetch.bytes", "1000")) {
            consumer.assign(List.of(p));
            consumer.seek(p, 0);
            List<byte[]> got = new ArrayList<>();
            long limit = System.currentTimeMillis() + SECONDS * 1000;
            while (got.size() < 2 && System.currentTimeMillis() < limit)
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) got.add(r.value());
            same(got.size(), 2, "records");
            expect(Arrays.equals(got.get(0), big), "the large record changed");
            same(text(got.get(1)), "after", "the record behind it");
        }
    }

    static void outOfRange() throws Exception {
        String topic = create("range", 1);
        produce(shared, topic, 0, 10);
        TopicPartition p = new TopicPartition(topic, 0);
        try (Consumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(List.of(p));
            consumer.seek(p, 11);
            try {
                consumer.poll(Duration.ofSeconds(SECONDS));
                throw new Difference("offset 11 of 10 was no error");
            } catch (org.apache.kafka.clients.consumer.OffsetOutOfRangeException wanted) { }
        }
        try (Consumer<byte[], byte[]> consumer = consumer("auto.offset.reset", "earliest")) {
            consumer.assign(List.of(p));
            consumer.seek(p, 11);
            long limit = System.currentTimeMillis() + SECONDS * 1000;
            int count = 0;
            while (count < 10 && System.currentTimeMillis() < limit)
                count += consumer.poll(Duration.ofMillis(200)).count();
            same(count, 10, "records after the reset to earliest");
        }
    }

    static void manyPartitions() throws Exception {
        String topic = create("many", 50);
        List<TopicPartition> parts = new ArrayList<>();
        for (int i = 0; i < 50; i++) parts.add(new TopicPartition(topic, i));
        for (int i = 0; i < 5000; i++)
            shared.send(new ProducerRecord<>(topic, i % 50, bytes("k"), bytes("" + i)));
        shared.flush();
        try (Consumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(parts);
            consumer.seekToBeginning(parts);
            int[] next = new int[50];
            int total = 0;
            long limit = System.currentTimeMillis() + SECONDS * 1000;
            while (total < 5000) {
                expect(System.currentTimeMillis() < limit, total + " of 5000 records");
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                    same(text(r.value()), "" + (r.partition() + 50 * next[r.partition()]++),
                         "partition " + r.partition() + " offset " + r.offset());
                    total++;
                }
            }
        }
    }

    static void adminTopics() throws Exception {
        String topic = create("made", 3, Map.of("retention.ms", "123456"));
        expect(get(admin.listTopics().names()).contains(topic), "not listed");
        TopicDescription d = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic);
        same(d.partitions().size(), 3, "partitions");
        expect(!d.topicId().equals(org.apache.kafka.common.Uuid.ZERO_UUID), "no topic id");
        for (var part : d.partitions()) {
            expect(part.leader() != null, "partition " + part.partition() + " has no leader");
            same(part.replicas().size(), 1, "replicas");
            same(part.isr().size(), 1, "in-sync replicas");
        }
        same(get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(d.topicId()))).allTopicIds())
                 .get(d.topicId()).name(), topic, "by topic id");
        expectError(TopicExistsException.class, () -> create("made", 3));
        expectError(InvalidTopicException.class, () -> create("sp ace", 1));
        expectError(InvalidPartitionsException.class, () -> create("zero", 0));
        expectError(InvalidReplicationFactorException.class, () -> get(admin.createTopics(
            List.of(new NewTopic(prefix + "-rf", 1, (short) 3))).all()));
        expectError(InvalidConfigurationException.class,
                    () -> create("badconfig", 1, Map.of("retention.ms", "soon")));
        get(admin.createTopics(List.of(new NewTopic(prefix + "-only", 1, (short) 1)),
                               new CreateTopicsOptions().validateOnly(true)).all());
        expect(!get(admin.listTopics().names()).contains(prefix + "-only"), "validateOnly made a topic");
        CreateTopicsResult usual = admin.createTopics(
            List.of(new NewTopic(prefix + "-usual", Optional.empty(), Optional.empty())));
        get(usual.all());
        same(get(usual.replicationFactor(prefix + "-usual")), 1, "default replication factor");

        get(admin.deleteTopics(List.of(topic)).all());
        long limit = System.currentTimeMillis() + SECONDS * 1000;
        while (get(admin.listTopics().names()).contains(topic))
            expect(System.currentTimeMillis() < limit, "still listed after it was deleted");
        expectError(UnknownTopicOrPartitionException.class,
                    () -> get(admin.deleteTopics(List.of(topic)).all()));
        expectError(UnknownTopicOrPartitionException.class,
                    () -> get(admin.describeTopics(List.of(topic)).allTopicNames()));
        create("byid", 1);
        var id = get(admin.describeTopics(List.of(prefix + "-byid")).allTopicNames())
                     .get(prefix + "-byid").topicId();
        get(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
    }

    static void expectError(Class<? extends Exception> wanted, Check check) throws Exception {
        try {
            check.run();
        } catch (Exception error) {
            expect(wanted.isInstance(error), "wanted " + wanted.getSimpleName() + ", got " + error);
            return;
        }
        throw new Difference("wanted " + wanted.getSimpleName() + ", got no error");
    }

    static void deletedAndMadeAgain() throws Exception {
        String topic = create("again", 1);
        produce(shared, topic, 0, 100);
        get(admin.deleteTopics(List.of(topic)).all());
        long limit = System.currentTimeMillis() + SECONDS * 1000;
        while (true) {
            try {
                create("again", 1);
                break;
            } catch (TopicExistsException notYet) {
                expect(System.currentTimeMillis() < limit, "the name does not become free");
            }
        }
        TopicPartition p = new TopicPartition(topic, 0);
        try (Producer<byte[], byte[]> producer = producer(); Consumer<byte[], byte[]> consumer = consumer()) {
            produce(producer, topic, 0, 10);
            consumer.assign(List.of(p));
            consumer.seek(p, 0);
            expectRecords(consumer, p, 0, 10);
        }
    }

    static void adminConfigs() throws Exception {
        String topic = create("configs", 1, Map.of("retention.ms", "86400000"));
        ConfigResource ofTopic = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Node node = get(admin.describeCluster().nodes()).iterator().next();
        ConfigResource ofBroker = new ConfigResource(ConfigResource.Type.BROKER, node.idString());
        Map<ConfigResource, Config> all = get(admin.describeConfigs(List.of(ofTopic, ofBroker)).all());
        Config config = all.get(ofTopic);
        same(config.get("retention.ms").value(), "86400000", "retention.ms");
        same(config.get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "source");
        same(config.get("segment.bytes").value(), "1073741824", "segment.bytes");
        for (String name : List.of(TopicConfig.CLEANUP_POLICY_CONFIG, TopicConfig.COMPRESSION_TYPE_CONFIG,
                                   TopicConfig.FLUSH_MESSAGES_INTERVAL_CONFIG, TopicConfig.RETENTION_BYTES_CONFIG,
                                   TopicConfig.MAX_MESSAGE_BYTES_CONFIG, TopicConfig.MIN_IN_SYNC_REPLICAS_CONFIG))
            expect(config.get(name) != null, name + " is missing");
        for (String name : List.of("num.partitions", "log.dirs", "auto.create.topics.enable", "node.id"))
            expect(all.get(ofBroker).get(name) != null, name + " of the broker is missing");
    }

    static void alterConfigs() throws Exception {
        String topic = create("altered", 1);
        ConfigResource ofTopic = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        get(admin.incrementalAlterConfigs(Map.of(ofTopic, List.of(
            new AlterConfigOp(new ConfigEntry("max.message.bytes", "2000"), AlterConfigOp.OpType.SET)))).all());
        long limit = System.currentTimeMillis() + SECONDS * 1000;
        while (!get(admin.describeConfigs(List.of(ofTopic)).all()).get(ofTopic).get("max.message.bytes")
                    .value().equals("2000"))
            expect(System.currentTimeMillis() < limit, "the change does not show");
        expectError(RecordTooLargeException.class,
                    () -> get(shared.send(new ProducerRecord<>(topic, 0, null, new byte[3000]))));
        get(admin.incrementalAlterConfigs(Map.of(ofTopic, List.of(
            new AlterConfigOp(new ConfigEntry("max.message.bytes", null), AlterConfigOp.OpType.DELETE)))).all());
        while (!get(admin.describeConfigs(List.of(ofTopic)).all()).get(ofTopic).get("max.message.bytes")
                    .value().equals("1048588"))
            expect(System.currentTimeMillis() < limit, "the default does not come back");
        get(shared.send(new ProducerRecord<>(topic, 0, null, new byte[3000])));
        expectError(InvalidConfigurationException.class, () -> get(admin.incrementalAlterConfigs(
            Map.of(ofTopic, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "soon"),
                                                      AlterConfigOp.OpType.SET)))).all()));
    }

    static void createPartitions() throws Exception {
        String topic = create("grown", 1);
        get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all());
        long limit = System.currentTimeMillis() + SECONDS * 1000;
        while (get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions().size() != 4)
            expect(System.currentTimeMillis() < limit, "the partitions do not show");
        waitForLeaders(topic, 4);
        expectError(InvalidPartitionsException.class, () -> get(admin.createPartitions(
            Map.of(topic, NewPartitions.increaseTo(2))).all()));
    }

    static void listOffsets() throws Exception {
        String topic = create("offsets", 1);
        TopicPartition p = new TopicPartition(topic, 0);
        long base = System.currentTimeMillis() - 3_600_000;
        long[] times = { 10, 20, 90, 30, 40 };
        for (long t : times) get(shared.send(new ProducerRecord<>(topic, 0, base + t, null, bytes("x"))));
        same(offset(p, OffsetSpec.earliest()), 0L, "earliest");
        same(offset(p, OffsetSpec.latest()), 5L, "latest");
        same(offset(p, OffsetSpec.maxTimestamp()), 2L, "max timestamp");
        same(offset(p, OffsetSpec.forTimestamp(base + 25)), 2L, "by timestamp");
        same(offset(p, OffsetSpec.forTimestamp(base + 91)), -1L, "by a later timestamp");
        same(offset(p, OffsetSpec.earliestLocal()), 0L, "earliest local");
        var max = get(admin.listOffsets(Map.of(p, OffsetSpec.maxTimestamp())).all()).get(p);
        same(max.timestamp(), base + 90, "the maximum timestamp");
        String empty = create("offsetsempty", 1);
        same(offset(new TopicPartition(empty, 0), OffsetSpec.maxTimestamp()), -1L, "max of nothing");
        expectError(UnknownTopicOrPartitionException.class, () -> get(admin.listOffsets(
            Map.of(new TopicPartition(prefix + "-nobody", 0), OffsetSpec.latest()),
            new ListOffsetsOptions().timeoutMs(3000)).all()));
    }

    static long offset(TopicPartition p, OffsetSpec spec) throws Exception {
        return get(admin.listOffsets(Map.of(p, spec)).all()).get(p).offset();
    }

    static void deleteRecords() throws Exception {
        String topic = create("trimmed", 1);
        TopicPartition p = new TopicPartition(topic, 0);
        produce(shared, topic, 0, 100);
        same(get(admin.deleteRecords(Map.of(p, RecordsToDelete.beforeOffset(40))).all().thenApply(x -> 1)), 1, "");
        same(offset(p, OffsetSpec.earliest()), 40L, "earliest");
        try (Consumer<byte[], byte[]> consumer = consumer()) {
            consumer.assign(List.of(p));
            consumer.seekToBeginning(List.of(p));
            expectRecords(consumer, p, 40, 100);
        }
        expectError(org.apache.kafka.common.errors.OffsetOutOfRangeException.class, () -> get(admin.deleteRecords(
            Map.of(p, RecordsToDelete.beforeOffset(101))).all()));
    }

    static void cluster() throws Exception {
        DescribeClusterResult found = admin.describeCluster();
        same(get(found.nodes()).size(), 1, "nodes");
        expect(get(found.clusterId()).length() > 0, "no cluster id");
        expect(get(found.controller()) != null, "no controller");
    }

    static void operate() throws Exception {
        String topic = create("operated", 2);
        TopicPartition p = new TopicPartition(topic, 0), empty = new TopicPartition(topic, 1);
        try (Producer<byte[], byte[]> producer = producer()) {
            produce(producer, topic, 0, 50);
            produce(producer, topic, 50, 100);
        }
        var producers = get(admin.describeProducers(List.of(p, empty)).all());
        same(producers.get(p).activeProducers().size(), 1, "producers");
        ProducerState state = producers.get(p).activeProducers().get(0);
        same(state.lastSequence(), 99, "last sequence");
        expect(state.producerId() >= 0 && state.currentTransactionStartOffset().isEmpty(), "" + state);
        same(producers.get(empty).activeProducers().size(), 0, "producers of an empty partition");

        int broker = get(admin.describeCluster().nodes()).iterator().next().id();
        var directories = get(admin.describeLogDirs(List.of(broker)).allDescriptions()).get(broker);
        same(directories.size(), 1, "log directories");
        LogDirDescription directory = directories.values().iterator().next();
        expect(directory.totalBytes().getAsLong() >= directory.usableBytes().getAsLong(), "" + directory);
        expect(directory.replicaInfos().get(p).size() > 100 * 20, "size of " + p);
        same(directory.replicaInfos().get(empty).size(), 0L, "size of an empty partition");

        var elected = get(admin.electLeaders(ElectionType.PREFERRED, Set.of(p)).partitions());
        expect(elected.get(p).get() instanceof ElectionNotNeededException, "" + elected);
    }

    static final Map<String, Check> CHECKS = new LinkedHashMap<>();
    static {
        CHECKS.put("producer with default settings (acks=all, idempotent)", JavaClient::defaults);
        CHECKS.put("acks 0, 1, all", JavaClient::acks);
        CHECKS.put("codecs none gzip snappy lz4 zstd", JavaClient::codecs);
        CHECKS.put("many small batches in flight", JavaClient::smallBatches);
        CHECKS.put("a topic is made by writing to it", JavaClient::autoCreate);
        CHECKS.put("assign and seek to beginning, offset, end", JavaClient::positions);
        CHECKS.put("offsetsForTimes", JavaClient::times);
        CHECKS.put("headers, null key and value, timestamp", JavaClient::headers);
        CHECKS.put("LogAppendTime", JavaClient::logAppendTime);
        CHECKS.put("a record of 1 MB, one too large, small fetches", JavaClient::largeRecords);
        CHECKS.put("an offset out of range", JavaClient::outOfRange);
        CHECKS.put("50 partitions at once", JavaClient::manyPartitions);
        CHECKS.put("Admin creates, lists, describes, deletes topics", JavaClient::adminTopics);
        CHECKS.put("a topic deleted and made again is empty", JavaClient::deletedAndMadeAgain);
        CHECKS.put("Admin describes configs", JavaClient::adminConfigs);
        CHECKS.put("Admin changes a topic's config", JavaClient::alterConfigs);
        CHECKS.put("Admin adds partitions", JavaClient::createPartitions);
        CHECKS.put("Admin lists offsets by every spec", JavaClient::listOffsets);
        CHECKS.put("Admin deletes records", JavaClient::deleteRecords);
        CHECKS.put("Admin describes the cluster", JavaClient::cluster);
        CHECKS.put("Admin describes producers and log directories, elects leaders", JavaClient::operate);
    }

    public static void main(String[] args) {
        broker = args[0];
        prefix = args[1];
        admin = Admin.create(common());
        shared = producer();
        int failed = 0;
        for (var check : CHECKS.entrySet()) {
            try {
                check.getValue().run();
                System.out.println("ok " + check.getKey());
            } catch (Throwable error) {
                int line = 0;
                for (StackTraceElement at : error.getStackTrace())
                    if (line == 0 && at.getClassName().startsWith("JavaClient") &&
                        !List.of("expect", "same", "get").contains(at.getMethodName()))
                        line = at.getLineNumber();
                System.out.println("FAILED " + check.getKey() + ": " + error + " (line " + line + ")");
                failed++;
            }
        }
        shared.close(Duration.ofSeconds(5));
        admin.close(Duration.ofSeconds(5));
        System.exit(failed == 0 ? 0 : 1);
    }
}
