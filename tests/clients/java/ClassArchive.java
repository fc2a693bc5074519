/* tests/clients/java/ClassArchive.java — loads what a client or a tool loads when it starts.
 *
 *   java -XX:ArchiveClassesAtExit=FILE ClassArchive
 *
 * Run once per class path, so that the JVM starts of the tests find their classes parsed.  No broker is
 * there: the clients are made, ask in vain for a moment, and are closed. */
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

public class ClassArchive {
    static final String[] TOOLS = {
        "org.apache.kafka.tools.TopicCommand", "org.apache.kafka.tools.GetOffsetShell",
        "org.apache.kafka.tools.consumer.ConsoleConsumer", "org.apache.kafka.tools.ConsoleProducer",
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    };

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", "127.0.0.1:1");
        p.put("group.id", "none");
        p.put("max.block.ms", "200");
        try (Admin admin = Admin.create(p)) {
            admin.listTopics();
            Thread.sleep(200);
            admin.close(Duration.ZERO);
        }
        KafkaConsumer<byte[], byte[]> consumer =
            new KafkaConsumer<>(p, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        consumer.subscribe(List.of("none"));
        consumer.poll(Duration.ofMillis(200));
        consumer.close(Duration.ZERO);
        KafkaProducer<byte[], byte[]> producer =
            new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer());
        producer.send(new ProducerRecord<>("none", new byte[1]));
        producer.close(Duration.ZERO);
        for (String name : TOOLS) {
            try {
                Class.forName(name);
            } catch (ClassNotFoundException none) { }       // 3.9 comes without tools
        }
    }
}
