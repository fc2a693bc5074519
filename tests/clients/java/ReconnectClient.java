/* tests/clients/java/ReconnectClient.java — a producer and a consumer over a kill -9 of the broker.
 *
 *   java ReconnectClient HOST:PORT TOPIC
 *
 * Writes and reads at the same time; says `half` at half of its acknowledgements and expects to be cut
 * off then.  Ends with 0 when each record was acknowledged and read once, in order (../reconnect.py). */
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

public class ReconnectClient {
    static final int COUNT = 400;
    static final List<Integer> acknowledged = Collections.synchronizedList(new ArrayList<>());
    static final AtomicReference<Exception> refused = new AtomicReference<>();

    static void write(Producer<byte[], String> producer, String topic) throws InterruptedException {
        for (int i = 0; i < COUNT; i++) {
            int number = i;
            producer.send(new ProducerRecord<>(topic, 0, null, "" + i), (told, error) -> {
                if (error != null) {
                    refused.set(error);
                    return;
                }
                acknowledged.add(number);
                if (acknowledged.size() == COUNT / 2) System.out.println("half");
            });
            Thread.sleep(2);
        }
        producer.flush();
    }

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("reconnect.backoff.max.ms", "500");
        try (Admin admin = Admin.create(p)) {
            admin.createTopics(List.of(new NewTopic(args[1], 1, (short) 1))).all().get();
        }
        List<Integer> wanted = new ArrayList<>(), seen = new ArrayList<>();
        for (int i = 0; i < COUNT; i++) wanted.add(i);
        Producer<byte[], String> producer = new KafkaProducer<>(p, new ByteArraySerializer(), new StringSerializer());
        Thread writer = new Thread(() -> {
            try {
                write(producer, args[1]);
            } catch (InterruptedException | RuntimeException error) {
                refused.set(error);
            }
        });
        writer.setDaemon(true);
        writer.start();
        TopicPartition partition = new TopicPartition(args[1], 0);
        try (Consumer<byte[], String> consumer =
                 new KafkaConsumer<>(p, new ByteArrayDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long limit = System.currentTimeMillis() + 100_000;
            while (seen.size() < COUNT && refused.get() == null && System.currentTimeMillis() < limit)
                for (ConsumerRecord<byte[], String> r : consumer.poll(Duration.ofMillis(200)))
                    seen.add(Integer.parseInt(r.value()));
        }
        writer.join(30_000);
        boolean good = refused.get() == null && acknowledged.equals(wanted) && seen.equals(wanted);
        if (!good) System.err.println(refused.get() + " acknowledged " + acknowledged + " read " + seen);
        System.out.println("acknowledged " + acknowledged.size() + " read " + seen.size());
        System.exit(good ? 0 : 1);
    }
}
