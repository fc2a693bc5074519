/* tests/clients/java/SessionClient.java — what a fetch session saves, seen from Kafka's own consumer.
 *
 *   java SessionClient HOST:PORT TOPIC      a consumer of 1,000 partitions (its default: sessions)
 *   java SessionClient HOST:PORT TOPIC N    an idempotent producer of N records, "value 0" and on
 *
 * The first form makes the topic and prints `ok NAME` or `FAILED NAME: reason` for each check; the
 * second one waits until every record is acknowledged and fails if one never is. */
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class SessionClient {
    static final int PARTITIONS = 1000, WAKES = 30, IDLE_SECONDS = 4, FETCHES_A_SECOND = 3;
    static final int REPLY_BYTES = 100;
    static String broker, topic;

    static Properties common(String... options) {
        Properties p = new Properties();
        p.put("bootstrap.servers", broker);
        for (int i = 0; i < options.length; i += 2) p.put(options[i], options[i + 1]);
        return p;
    }

    static KafkaProducer<byte[], byte[]> producer(String... options) {
        return new KafkaProducer<>(common(options), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static byte[] value(long i) {
        return ("value " + i).getBytes(StandardCharsets.UTF_8);
    }

    static double metric(Consumer<?, ?> consumer, String group, String name) {
        return consumer.metrics().entrySet().stream()
            .filter(e -> e.getKey().group().equals(group) && e.getKey().name().equals(name) &&
                         !e.getKey().tags().containsKey("topic"))
            .mapToDouble(e -> (Double) e.getValue().metricValue()).findFirst().orElseThrow();
    }

    static void say(String name, boolean good, String reason) {
        System.out.println(good ? "ok " + name : "FAILED " + name + ": " + reason);
    }

    static void idle(Consumer<byte[], byte[]> consumer) {
        for (int i = 0; i < 10; i++) consumer.poll(Duration.ofMillis(200));    /* the session is made */
        double fetches = metric(consumer, "consumer-fetch-manager-metrics", "fetch-total");
        double bytes = metric(consumer, "consumer-metrics", "incoming-byte-total");
        long end = System.currentTimeMillis() + IDLE_SECONDS * 1000;
        while (System.currentTimeMillis() < end) consumer.poll(Duration.ofMillis(100));
        fetches = metric(consumer, "consumer-fetch-manager-metrics", "fetch-total") - fetches;
        bytes = metric(consumer, "consumer-metrics", "incoming-byte-total") - bytes;
        say("idle over 1,000 partitions: at most 3 fetches a second",
            fetches >= 1 && fetches <= FETCHES_A_SECOND * (IDLE_SECONDS + 1), fetches + " fetches");
        say("idle over 1,000 partitions: at most 100 bytes a fetch",
            bytes <= REPLY_BYTES * fetches, bytes + " bytes in " + fetches + " fetches");
    }

    static void wakes(Consumer<byte[], byte[]> consumer) throws Exception {
        long best = Long.MAX_VALUE, received = 0;
        try (Producer<byte[], byte[]> producer = producer("linger.ms", "0")) {
            for (int i = 0; i < WAKES; i++) {
                int partition = i * 77 % PARTITIONS;
                consumer.poll(Duration.ofMillis(50));                          /* parked */
                producer.send(new ProducerRecord<>(topic, partition, null, value(i))).get(30, TimeUnit.SECONDS);
                long acked = System.nanoTime(), limit = acked + 30_000_000_000L;
                while (received <= i && System.nanoTime() < limit)
                    for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(1000)))
                        if (r.partition() == partition && Arrays.equals(r.value(), value(i))) received++;
                best = Math.min(best, System.nanoTime() - acked);
            }
        }
        say("every produce arrives", received == WAKES, received + " of " + WAKES);
        say("a produce to any of 1,000 partitions wakes the consumer", best < 20_000_000L, "best: " + best + " ns");
    }

    static void consume() throws Exception {
        try (Admin admin = Admin.create(common())) {
            admin.createTopics(List.of(new NewTopic(topic, PARTITIONS, (short) 1))).all().get(60, TimeUnit.SECONDS);
        }
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(
                 common("auto.offset.reset", "earliest"), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> all = new ArrayList<>();
            for (int i = 0; i < PARTITIONS; i++) all.add(new TopicPartition(topic, i));
            consumer.assign(all);
            for (TopicPartition p : all) consumer.seek(p, 0);
            idle(consumer);
            wakes(consumer);
        }
    }

    static void produce(int count) throws Exception {
        List<Future<RecordMetadata>> futures = new ArrayList<>();
        try (Producer<byte[], byte[]> producer = producer("batch.size", "200", "linger.ms", "1",
                 "request.timeout.ms", "3000", "delivery.timeout.ms", "120000", "retry.backoff.ms", "20",
                 "reconnect.backoff.ms", "20", "reconnect.backoff.max.ms", "100")) {
            for (int i = 0; i < count; i++) futures.add(producer.send(new ProducerRecord<>(topic, 0, null, value(i))));
            for (Future<RecordMetadata> future : futures) future.get(150, TimeUnit.SECONDS);
        }
    }

    public static void main(String[] args) throws Exception {
        broker = args[0];
        topic = args[1];
        if (args.length > 2) produce(Integer.parseInt(args[2]));
        else consume();
    }
}
