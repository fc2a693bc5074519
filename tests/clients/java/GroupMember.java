/* tests/clients/java/GroupMember.java — a member of a consumer group (../group_members.py).
 *
 *   java GroupMember HOST:PORT TOPIC GROUP [protocol=range|cooperative-sticky] [instance=ID] [session=MS]
 *
 * Commits after each poll; a commit that a rebalance or a dead broker prevents is made up for by the
 * next one.  Compiles and runs with 3.9 and 4.3. */
import java.time.Duration;
import java.util.*;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

public class GroupMember {
    static synchronized void say(String text) {
        System.out.println(text);
        System.out.flush();
    }

    static Properties settings(String[] args) {
        Map<String, String> options = new HashMap<>();
        for (int i = 3; i < args.length; i++) options.put(args[i].split("=")[0], args[i].split("=")[1]);
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("group.id", args[2]);
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "earliest");
        p.put("session.timeout.ms", options.getOrDefault("session", "6000"));
        p.put("heartbeat.interval.ms", "500");
        p.put("reconnect.backoff.max.ms", "500");
        p.put("default.api.timeout.ms", "15000");
        p.put("partition.assignment.strategy", options.getOrDefault("protocol", "range").equals("range")
              ? "org.apache.kafka.clients.consumer.RangeAssignor"
              : "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
        if (options.containsKey("instance")) p.put("group.instance.id", options.get("instance"));
        return p;
    }

    static void tell(Consumer<?, ?> consumer) {
        say("generation " + consumer.groupMetadata().generationId());
        say("assigned " + consumer.assignment().stream().map(t -> "" + t.partition()).sorted()
            .collect(Collectors.joining(" ")));
    }

    static boolean commit(Consumer<?, ?> consumer) {
        try {
            consumer.commitSync();
            return true;
        } catch (FencedInstanceIdException error) {
            throw error;
        } catch (RetriableException | CommitFailedException | RebalanceInProgressException error) {
            System.err.println("commit: " + error);
            return false;
        }
    }

    static void run(Consumer<byte[], String> consumer, String topic) {
        consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) { tell(consumer); }
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) { }
        });
        boolean saved = true;
        while (true) {
            ConsumerRecords<byte[], String> records = consumer.poll(Duration.ofMillis(200));
            for (ConsumerRecord<byte[], String> r : records)
                say("record " + r.partition() + " " + r.offset() + " " + r.value());
            if (!records.isEmpty() || !saved) saved = commit(consumer);
        }
    }

    public static void main(String[] args) {
        Consumer<byte[], String> consumer =
            new KafkaConsumer<>(settings(args), new ByteArrayDeserializer(), new StringDeserializer());
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                main.join(20_000);
            } catch (InterruptedException ignored) { }
        }));
        try {
            run(consumer, args[1]);
        } catch (WakeupException end) {
            consumer.close();
            say("closed");
        } catch (FencedInstanceIdException error) {
            say("fenced");
            Runtime.getRuntime().halt(3);
        } catch (KafkaException error) {
            error.printStackTrace();
            Runtime.getRuntime().halt(4);
        }
    }
}
