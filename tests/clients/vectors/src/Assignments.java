// tests/clients/vectors/src/Assignments.java - what Kafka's own assignors make of random groups.
//
// tests/coordinate/vectors/assignments.txt: a case is a line "topics COUNT..." (partitions of each),
// a line "member ID INSTANCE TOPICS CURRENT UNIFORM RANGE" per member ("-": none; the last three are
// topic:partition,...), and "end".  A case's current assignment is often what the uniform assignor
// made of the case before, after somebody joined, left or changed what it subscribes to.
// tests/coordinate/test_assignor.c compares ours.
//
//     java -cp … Assignments write FILE     the file anew: seeded, so that it changes with Kafka only
//     java -cp … Assignments check FILE     does Kafka say the same today?
//
// Ends with "N passed, N failed"; exit status 1 if anything failed or nothing was there.

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.coordinator.group.api.assignor.ConsumerGroupPartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.MemberAssignment;
import org.apache.kafka.coordinator.group.api.assignor.SubscribedTopicDescriber;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;
import org.apache.kafka.coordinator.group.modern.Assignment;
import org.apache.kafka.coordinator.group.modern.GroupSpecImpl;
import org.apache.kafka.coordinator.group.modern.MemberSubscriptionAndAssignmentImpl;

public final class Assignments {
    private static final int GROUPS = 60;
    private static final int STEPS = 5;
    private final Random random = new Random(848);
    private int nextMember;

    /** Topics are numbers; so are partitions. */
    private static final class Member {
        String instance;
        TreeSet<Integer> topics = new TreeSet<>();
        TreeMap<Integer, TreeSet<Integer>> current = new TreeMap<>();
    }

    public static void main(String[] args) throws IOException {
        Path file = Path.of(args[1]);
        List<String> lines = new Assignments().cases();
        if (args[0].equals("write")) {
            Files.write(file, lines);
        }
        boolean same = Files.readAllLines(file).equals(lines);
        long cases = lines.stream().filter(line -> line.equals("end")).count();
        System.out.println((same ? cases : 0) + " passed, " + (same ? 0 : cases) + " failed");
        System.exit(same ? 0 : 1);
    }

    private List<String> cases() {
        List<String> lines = new ArrayList<>();
        for (int group = 0; group < GROUPS; group++) {
            boolean alike = group % 2 == 0;
            List<Integer> counts = new ArrayList<>();
            for (int i = 1 + random.nextInt(6); i > 0; i--) {
                counts.add(random.nextInt(12));
            }
            TreeMap<String, Member> members = new TreeMap<>();
            for (int i = 1 + random.nextInt(9); i > 0; i--) {
                join(members, counts.size(), alike);
            }
            for (int step = 0; step < STEPS; step++) {
                Map<String, MemberAssignment> uniform = assign(new UniformAssignor(), counts, members);
                Map<String, MemberAssignment> range = assign(new RangeAssignor(), counts, members);
                write(lines, counts, members, uniform, range);
                members.forEach((id, member) -> member.current = numbers(uniform.get(id)));
                change(members, counts, alike);
            }
        }
        return lines;
    }

    private void join(TreeMap<String, Member> members, int topics, boolean alike) {
        Member member = new Member();
        member.instance = random.nextInt(3) == 0 ? "i" + random.nextInt(1000) + "-" + nextMember : null;
        subscribe(member, members, topics, alike);
        members.put(String.format("m%03d-%d", random.nextInt(1000), nextMember++), member);
    }

    private void subscribe(Member member, TreeMap<String, Member> members, int topics, boolean alike) {
        if (alike && !members.isEmpty()) {
            member.topics = members.firstEntry().getValue().topics;
            return;
        }
        member.topics = new TreeSet<>();
        for (int topic = 0; topic < topics; topic++) {
            if (random.nextInt(3) > 0) {
                member.topics.add(topic);
            }
        }
    }

    private void change(TreeMap<String, Member> members, List<Integer> counts, boolean alike) {
        List<String> ids = new ArrayList<>(members.keySet());
        switch (random.nextInt(5)) {
            case 0:
                if (ids.size() > 1) {
                    members.remove(ids.get(random.nextInt(ids.size())));
                }
                break;
            case 1:
                join(members, counts.size(), alike);
                break;
            case 2:
                counts.set(random.nextInt(counts.size()), 1 + random.nextInt(12));
                members.values().forEach(m -> m.current.forEach((topic, partitions) ->
                    partitions.removeIf(p -> p >= counts.get(topic))));
                break;
            case 3:
                if (!alike) {
                    subscribe(members.get(ids.get(random.nextInt(ids.size()))), members, counts.size(), false);
                }
                break;
            default:
                break;                                  // nothing has changed
        }
    }

    private static Map<String, MemberAssignment> assign(ConsumerGroupPartitionAssignor assignor, List<Integer> counts,
                                                       TreeMap<String, Member> members) {
        Map<String, MemberSubscriptionAndAssignmentImpl> spec = new HashMap<>();
        Map<Uuid, Map<Integer, String>> owners = new HashMap<>();
        Set<Set<Integer>> subscriptions = new HashSet<>();
        members.forEach((id, member) -> {
            Set<Uuid> topics = new HashSet<>();
            Map<Uuid, Set<Integer>> current = new HashMap<>();
            member.topics.forEach(topic -> topics.add(uuid(topic)));
            member.current.forEach((topic, partitions) -> {
                current.put(uuid(topic), partitions);
                partitions.forEach(p -> owners.computeIfAbsent(uuid(topic), t -> new HashMap<>()).put(p, id));
            });
            subscriptions.add(member.topics);
            spec.put(id, new MemberSubscriptionAndAssignmentImpl(Optional.empty(), Optional.ofNullable(member.instance),
                topics, new Assignment(Collections.unmodifiableMap(current))));
        });
        SubscriptionType type = subscriptions.size() == 1 ? SubscriptionType.HOMOGENEOUS : SubscriptionType.HETEROGENEOUS;
        Map<String, MemberAssignment> result = assignor.assign(new GroupSpecImpl(spec, type, owners),
            new SubscribedTopicDescriber() {
                @Override
                public int numPartitions(Uuid topic) {
                    return counts.get((int) topic.getLeastSignificantBits());
                }

                @Override
                public Set<String> racksForPartition(Uuid topic, int partition) {
                    return Set.of();
                }
            }).members();
        return result;
    }

    private static Uuid uuid(int topic) {
        return new Uuid(1, topic);
    }

    private static TreeMap<Integer, TreeSet<Integer>> numbers(MemberAssignment assignment) {
        TreeMap<Integer, TreeSet<Integer>> numbers = new TreeMap<>();
        if (assignment != null) {
            assignment.partitions().forEach((topic, partitions) ->
                numbers.put((int) topic.getLeastSignificantBits(), new TreeSet<>(partitions)));
        }
        return numbers;
    }

    private static void write(List<String> lines, List<Integer> counts, TreeMap<String, Member> members,
                              Map<String, MemberAssignment> uniform, Map<String, MemberAssignment> range) {
        StringBuilder topics = new StringBuilder("topics");
        counts.forEach(count -> topics.append(' ').append(count));
        lines.add(topics.toString());
        members.forEach((id, member) -> lines.add("member " + id + " " + (member.instance == null ? "-" : member.instance) +
            " " + (member.topics.isEmpty() ? "-" : member.topics.toString().replaceAll("[\\[\\] ]", "")) + " " +
            text(member.current) + " " + text(numbers(uniform.get(id))) + " " + text(numbers(range.get(id)))));
        lines.add("end");
    }

    private static String text(TreeMap<Integer, TreeSet<Integer>> assignment) {
        StringBuilder text = new StringBuilder();
        assignment.forEach((topic, partitions) -> partitions.forEach(p ->
            text.append(text.length() > 0 ? "," : "").append(topic).append(':').append(p)));
        return text.length() == 0 ? "-" : text.toString();
    }
}
