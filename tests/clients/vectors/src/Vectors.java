// tests/clients/vectors/src/Vectors.java - shows the codec's byte vectors to Kafka's own classes.
//
// Each line of tests/wire/vectors/<api>.txt is "side version kind hex json".  The class that
// Kafka generated for the message reads the bytes; what it writes must be the same bytes, and
// what it calls the fields, and their values, must be what our JSON says.
//
//     java -cp … Vectors DIR
//
// Ends with "N passed, N failed"; exit status 1 if anything failed or nothing was there.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

public final class Vectors {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final HexFormat HEX = HexFormat.of();
    private int passed;
    private int failed;

    public static void main(String[] args) throws IOException {
        Vectors vectors = new Vectors();
        List<Path> files;
        try (Stream<Path> all = Files.list(Path.of(args[0]))) {
            files = all.filter(p -> p.toString().endsWith(".txt")).sorted().collect(Collectors.toList());
        }
        for (Path file : files) {
            vectors.checkFile(file);
        }
        System.out.println(vectors.passed + " passed, " + vectors.failed + " failed");
        System.exit(vectors.failed == 0 && vectors.passed > 0 ? 0 : 1);
    }

    private void checkFile(Path file) throws IOException {
        String name = file.getFileName().toString().replace(".txt", "");
        int before = passed;
        for (String line : Files.readAllLines(file, StandardCharsets.UTF_8)) {
            String[] words = line.split(" ", 5);
            String what = name + " " + words[0] + " v" + words[1] + " " + words[2];
            try {
                checkVector(className(name, words[0]), Short.parseShort(words[1]),
                            words[3].equals("-") ? new byte[0] : HEX.parseHex(words[3]),
                            JSON.readTree(words[4]));
                passed++;
            } catch (ReflectiveOperationException | RuntimeException | IOException | Error e) {
                failed++;
                Throwable cause = e.getCause() != null ? e.getCause() : e;
                System.out.println("FAILED " + what + ": " + cause);
            }
        }
        System.out.println(name + ": " + (passed - before));
    }

    /** create_topics, request: CreateTopicsRequestData; request_header, header: RequestHeaderData. */
    private static String className(String api, String side) {
        StringBuilder name = new StringBuilder("org.apache.kafka.common.message.");
        for (String word : (side.equals("header") ? api : api + "_" + side).split("_")) {
            name.append(Character.toUpperCase(word.charAt(0))).append(word.substring(1));
        }
        return name.append("Data").toString();
    }

    private static void checkVector(String className, short version, byte[] bytes, JsonNode ours)
            throws ReflectiveOperationException {
        Class<?> type = Class.forName(className);
        Message message = (Message) type.getConstructor().newInstance();
        ByteBuffer input = ByteBuffer.wrap(bytes);
        message.read(new ByteBufferAccessor(input), version);
        if (input.hasRemaining()) {
            throw new IllegalStateException(input.remaining() + " bytes left over");
        }

        ObjectSerializationCache cache = new ObjectSerializationCache();
        int size = message.size(cache, version);
        ByteBuffer output = ByteBuffer.allocate(size);
        message.write(new ByteBufferAccessor(output), cache, version);
        if (!HEX.formatHex(output.array()).equals(HEX.formatHex(bytes))) {
            throw new IllegalStateException("Kafka writes " + HEX.formatHex(output.array()));
        }

        JsonNode theirs = (JsonNode) Class.forName(className + "JsonConverter")
            .getMethod("write", type, short.class, boolean.class)
            .invoke(null, message, version, false);
        compare("", ours, theirs);
    }

    private static void compare(String path, JsonNode ours, JsonNode theirs) {
        boolean same;
        if (theirs.isObject() && ours.isObject()) {
            compareObjects(path, ours, theirs);
            return;
        } else if (theirs.isArray() && ours.isArray() && theirs.size() == ours.size()) {
            for (int i = 0; i < theirs.size(); i++) {
                compare(path + "[" + i + "]", ours.get(i), theirs.get(i));
            }
            return;
        } else if (theirs.isBinary()) {
            same = ours.isTextual() && HEX.formatHex(binary(theirs)).equals(ours.textValue());
        } else if (theirs.isTextual()) {
            same = ours.isTextual() && theirs.textValue().equals(utf8(ours.textValue()));
        } else if (theirs.isIntegralNumber()) {
            same = ours.isIntegralNumber() && theirs.longValue() == ours.longValue();
        } else {
            same = theirs.equals(ours);             // null, booleans, other numbers
        }
        if (!same) {
            throw new IllegalStateException(path + " is " + ours + ", for Kafka " + theirs);
        }
    }

    /** Kafka's fields are ours: the same names but for case and underscores, and no others. */
    private static void compareObjects(String path, JsonNode ours, JsonNode theirs) {
        Map<String, JsonNode> left = new HashMap<>();
        for (Iterator<Map.Entry<String, JsonNode>> it = ours.fields(); it.hasNext(); ) {
            Map.Entry<String, JsonNode> field = it.next();
            left.put(field.getKey().replace("_", ""), field.getValue());
        }
        for (Iterator<Map.Entry<String, JsonNode>> it = theirs.fields(); it.hasNext(); ) {
            Map.Entry<String, JsonNode> field = it.next();
            // records appear as their size, as with us
            String name = field.getKey().replace("SizeInBytes", "").toLowerCase(java.util.Locale.ROOT);
            JsonNode value = left.remove(name);
            if (value == null) {
                throw new IllegalStateException(path + "/" + field.getKey() + " is missing");
            }
            compare(path + "/" + field.getKey(), value, field.getValue());
        }
        if (!left.isEmpty()) {
            throw new IllegalStateException(path + " has fields that Kafka does not know: " + left);
        }
    }

    private static byte[] binary(JsonNode node) {
        try {
            return node.binaryValue();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Our JSON has a string's bytes one by one; Kafka's has characters. */
    private static String utf8(String text) {
        return new String(text.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }
}
