/* tests/clients/java/PackagesClient.java — a package index through the broker, by Java.
 *
 *   java PackagesClient write HOST:PORT FILE TOPIC CODEC [TOPIC CODEC ...]
 *   java PackagesClient check HOST:PORT FILE TOPIC [TOPIC ...]
 *
 * FILE and what `half` means are told in ../python/packages_client.py.  The producer has Java's
 * default settings but for the codec: acks=all, idempotent, five requests in flight. */
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class PackagesClient {
    record Entry(byte[] key, byte[] value) { }

    static final List<Entry> entries = new ArrayList<>();
    static long base;

    static void load(String path) throws Exception {
        ByteBuffer data = ByteBuffer.wrap(Files.readAllBytes(new File(path).toPath()));
        while (data.hasRemaining()) {
            byte[] key = new byte[data.getInt()], value = new byte[data.getInt()];
            data.get(key).get(value);
            entries.add(new Entry(key, value));
        }
        base = new File(path).lastModified() / 1000 * 1000 - 3_600_000;
    }

    static void fail(String text) {
        System.err.println(text);
        System.exit(1);
    }

    static void write(String broker, String topic, String codec) {
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        p.put("compression.type", codec);
        AtomicInteger acknowledged = new AtomicInteger();
        AtomicReference<Exception> error = new AtomicReference<>();
        try (Producer<byte[], byte[]> producer =
                 new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (int i = 0; i < entries.size(); i++) {
                Entry e = entries.get(i);
                producer.send(new ProducerRecord<>(topic, null, base + i, e.key, e.value), (told, bad) -> {
                    if (bad != null) error.compareAndSet(null, bad);
                    if (acknowledged.incrementAndGet() == entries.size() / 2) {
                        System.out.println("half");
                        System.out.flush();
                    }
                });
            }
            producer.flush();
        }
        if (error.get() != null) fail(topic + ": " + error.get());
        System.out.println("acknowledged " + acknowledged.get());
    }

    /* All records once, in order within their partition, byte-identical, offsets without a hole. */
    static void check(String broker, String topic) {
        Map<ByteBuffer, Integer> numberOf = new HashMap<>();
        for (int i = 0; i < entries.size(); i++) numberOf.put(ByteBuffer.wrap(entries.get(i).value), i);
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        p.put("auto.offset.reset", "none");
        BitSet seen = new BitSet();
        try (Consumer<byte[], byte[]> consumer =
                 new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> parts = new ArrayList<>();
            for (var info : consumer.partitionsFor(topic)) parts.add(new TopicPartition(topic, info.partition()));
            consumer.assign(parts);
            consumer.seekToBeginning(parts);
            long[] next = new long[parts.size()];
            int[] last = new int[parts.size()];
            Arrays.fill(last, -1);
            long total = 0;
            for (long end : consumer.endOffsets(parts).values()) total += end;
            if (total != entries.size()) fail(topic + " holds " + total + " records of " + entries.size());
            long limit = System.currentTimeMillis() + 60_000;
            while (seen.cardinality() < entries.size()) {
                if (System.currentTimeMillis() > limit)
                    fail(topic + ": " + seen.cardinality() + " of " + entries.size() + " records in time");
                for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                    String where = topic + "-" + r.partition() + " offset " + r.offset();
                    Integer number = numberOf.get(ByteBuffer.wrap(r.value()));
                    if (number == null) fail(where + ": a value nobody sent");
                    if (!Arrays.equals(r.key(), entries.get(number).key)) fail(where + ": another key");
                    if (r.offset() != next[r.partition()]++) fail(where + ": a hole before it");
                    if (seen.get(number)) fail(where + ": record " + number + " twice");
                    if (number < last[r.partition()]) fail(where + ": record " + number + " out of order");
                    if (r.timestamp() != base + number) fail(where + ": another timestamp");
                    last[r.partition()] = number;
                    seen.set(number);
                }
            }
        }
        System.out.println("checked " + topic);
    }

    public static void main(String[] args) throws Exception {
        load(args[2]);
        for (int i = 3; i < args.length; i++) {
            if (args[0].equals("write")) write(args[1], args[i], args[++i]);
            else check(args[1], args[i]);
        }
    }
}
