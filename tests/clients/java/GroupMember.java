/* tests/clients/java/GroupMember.java — a member of a consumer group (../group_members.py).
 *
 *   java GroupMember HOST:PORT TOPIC GROUP [protocol=range|cooperative-sticky] [instance=ID] [session=MS]
 *   java GroupMember HOST:PORT TOPIC GROUP assignor=uniform|range [instance=ID] [pattern=REGEX]
 *
 * An assignor makes it a member of the consumer protocol (KIP-848), with 4.3 only; with a pattern it
 * reads every topic that matches.
 *
 * Commits after each poll; a commit that a rebalance or a dead broker prevents is made up for by the
 * next one.  Compiles and runs with 3.9 and 4.3. */
import java.time.Duration;
import java.util.*;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

public class GroupMember {
    static synchronized void say(String text) {
        System.out.println(text);
        System.out.flush();
    }

    static Map<String, String> options(String[] args) {
        Map<String, String> options = new HashMap<>();
        for (int i = 3; i < args.length; i++) options.put(args[i].split("=")[0], args[i].split("=")[1]);
        return options;
    }

    static Properties settings(String[] args) {
        Map<String, String> options = options(args);
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("group.id", args[2]);
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "earliest");
        p.put("reconnect.backoff.max.ms", "500");
        p.put("default.api.timeout.ms", "15000");
        if (options.containsKey("assignor")) {
            p.put("group.protocol", "consumer");
            p.put("group.remote.assignor", options.get("assignor"));
        } else {
            p.put("session.timeout.ms", options.getOrDefault("session", "6000"));
            p.put("heartbeat.interval.ms", "500");
            p.put("partition.assignment.strategy", options.getOrDefault("protocol", "range").equals("range")
                  ? "org.apache.kafka.clients.consumer.RangeAssignor"
                  : "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");
        }
        if (options.containsKey("instance")) p.put("group.instance.id", options.get("instance"));
        return p;
    }

    static Set<TopicPartition> told = Set.of();     // so that a rebalance is told once

    static void tell(Consumer<?, ?> consumer) {
        told = new HashSet<>(consumer.assignment());
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

    /* A class of 4.3, which 3.9 does not know. */
    static void subscribe(Consumer<?, ?> consumer, String pattern, ConsumerRebalanceListener listener) throws Exception {
        Class<?> kind = Class.forName("org.apache.kafka.clients.consumer.SubscriptionPattern");
        Consumer.class.getMethod("subscribe", kind, ConsumerRebalanceListener.class)
            .invoke(consumer, kind.getConstructor(String.class).newInstance(pattern), listener);
    }

    static void run(Consumer<byte[], String> consumer, String topic, String pattern) throws Exception {
        ConsumerRebalanceListener listener = new ConsumerRebalanceListener() {
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) { tell(consumer); }
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) { }
        };
        if (pattern == null) consumer.subscribe(List.of(topic), listener);
        else subscribe(consumer, pattern, listener);
        boolean saved = true;
        while (true) {
            ConsumerRecords<byte[], String> records = consumer.poll(Duration.ofMillis(200));
            if (!told.equals(consumer.assignment())) tell(consumer);
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
            run(consumer, args[1], options(args).get("pattern"));
        } catch (WakeupException end) {
            consumer.close();
            say("closed");
        } catch (FencedInstanceIdException error) {
            say("fenced");
            Runtime.getRuntime().halt(3);
        } catch (Exception error) {
            error.printStackTrace();
            Runtime.getRuntime().halt(4);
        }
    }
}
