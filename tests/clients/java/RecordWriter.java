/* tests/clients/java/RecordWriter.java — an idempotent producer whose every record can be recognised.
 *
 *   java RecordWriter HOST:PORT TOPIC PARTITIONS NAME RECORDS_PER_SECOND CODEC
 *
 * Writes until its input ends, then flushes.  A line per record: `try PARTITION NUMBER` before it may
 * have reached anybody, then `ok PARTITION NUMBER OFFSET` or `refused PARTITION NUMBER ERROR`; at the
 * end `sent`.  Values are those of tests/durability/record_load.py.  Java's default settings but for
 * the codec and quicker reconnects: acks=all, idempotent, five requests in flight. */
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.zip.CRC32;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class RecordWriter {
    static volatile boolean ending;
    static final PrintStream out = new PrintStream(System.out, false);

    static byte[] value(String name, int partition, int number, int size) {
        byte[] head = (name + " " + partition + " " + number + " ").getBytes(StandardCharsets.UTF_8);
        CRC32 crc = new CRC32();
        crc.update(head);
        byte[] seed = String.format("%08x", crc.getValue()).getBytes(StandardCharsets.UTF_8);
        byte[] value = java.util.Arrays.copyOf(head, Math.max(size, head.length));
        for (int i = head.length; i < value.length; i++) value[i] = seed[(i - head.length) % 8];
        return value;
    }

    static synchronized void tell(String line) {
        out.println(line);
        out.flush();
    }

    public static void main(String[] args) throws Exception {
        int partitions = Integer.parseInt(args[2]);
        double interval_ns = 1e9 / Double.parseDouble(args[4]);
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("compression.type", args[5]);
        p.put("reconnect.backoff.ms", "5");
        p.put("reconnect.backoff.max.ms", "50");
        p.put("retry.backoff.ms", "10");
        p.put("linger.ms", "2");
        Thread watch = new Thread(() -> {
            try { while (System.in.read() >= 0) { } } catch (java.io.IOException gone) { }
            ending = true;
        });
        watch.setDaemon(true);
        watch.start();
        try (Producer<byte[], byte[]> producer =
                 new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
            long begin = System.nanoTime();
            for (long turn = 0; !ending; turn++) {
                int partition = (int) (turn % partitions), number = (int) (turn / partitions);
                tell("try " + partition + " " + number);
                producer.send(new ProducerRecord<>(args[1], partition, null,
                        value(args[3], partition, number, turn % 50 == 0 ? 20000 : 200)), (told, bad) ->
                    tell(bad == null ? "ok " + partition + " " + number + " " + told.offset()
                                     : "refused " + partition + " " + number + " " + bad.getClass().getSimpleName()));
                long early_ns = begin + (long) (turn * interval_ns) - System.nanoTime();
                if (early_ns > 2_000_000) Thread.sleep(early_ns / 1_000_000);
            }
            producer.flush();
        }
        tell("sent");
    }
}
