// tests/clients/vectors/src/TopicRegexes.java - what RE2/J, Kafka's library, says of patterns.
//
// tests/coordinate/vectors/topic_regexes.txt: "names NAME..." (tab-separated, as all lines), then
// "PATTERN VERDICT": a 0 or 1 per name, or why it is no pattern, as Kafka tells its clients.
// tests/coordinate/test_topic_regex.c compares ours.
//
//     java -cp … TopicRegexes write FILE     the file anew: seeded, so that it changes with RE2/J only
//     java -cp … TopicRegexes check FILE     does RE2/J say the same today?
//
// Ends with "N passed, N failed"; exit status 1 if anything failed or nothing was there.

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

public final class TopicRegexes {
    private static final String[] NAMES = {
        "a", "abc", "abcabc", "ABC", "orders", "orders-eu", "orders.eu", "orders_1", "a-b", "a]b", "x1", "123",
        "__consumer_offsets", "tweets", "foo-bar.baz_9", "é"
    };
    private static final String[] BY_HAND = {
        "", "abc", "a.*", "^abc$", "^ab", "(?P<n>abc)", "(?<n>abc)", "(?i)abc", "(?z)abc", "[a-", "(abc", "*a", "a**",
        "a{1001}", "a{1000}", "[z-a]", "\\pL+", "\\p{Greek}+", "\\p{Foo}", "\\d+", "\\Qfoo-bar.\\E.*", "\\Qorders.eu",
        "\\Q(?<n>\\E", "[(?<n>]bc", "\\C", "a\\C", "\\Q\\C\\E", "[\\C]", "\\h", "\\8", "(?=abc)", "(?!x)abc", "(?<=a)bc",
        "(?<!a)bc", "(a)\\1", "[[:alpha:]]+", "[[:foo:]]", "a{,2}", "a{2,1}", "a++", "a|b|abc|", "é.*", ".", "[^a]bc",
        ".*[", "\\x{10FFFF}", "\\x{110000}", "abc\\", "(?P<n", "(?<n", "(?P=n)", "(?#comment)abc", "(?U)a.*c", "a{2}{3}",
        "x*?+", "(?:)", "()", "|", "\\bfoo\\b|abc", "\\Aabc\\z", "\\Aabc\\Z", "abc\\z", "(?:abc)+", "(?:abc){2}", "a[]]b",
        "a[^]]b", "[\\]a](?<x>b)c", "[]a](?<x>b)c", "orders([.-]eu)?", "orders.*|tweets", "__.*", "(?s).*", "(?m)^abc$",
        "[\\w.-]+", "\\W+", "(?<a>a)(?<b>b)c", "(?<a>a(?<b>b))c", "\\(?<a>", "a$b", "$", "^", "(?i:A)bc", "[a-c]{3}"
    };
    private static final String[] PIECES = {
        "a", "b", "c", "abc", "orders", ".", "*", "+", "?", "|", "(", ")", "(?:", "(?<n>", "(?P<m>", "(?i)", "[", "]", "^",
        "$", "[a-z]", "[^a]", "-", "_", "\\d", "\\w", "\\W", "\\.", "\\Q", "\\E", "\\b", "{2}", "{1,3}", "{0,}", "\\pL", "\\C",
        "é", "[[:digit:]]", "eu"
    };

    public static void main(String[] args) throws IOException {
        Path file = Path.of(args[1]);
        List<String> lines = lines();
        if (args[0].equals("write")) {
            Files.write(file, lines);
        }
        boolean same = Files.readAllLines(file).equals(lines);
        int patterns = lines.size() - 1;
        System.out.println((same ? patterns : 0) + " passed, " + (same ? 0 : patterns) + " failed");
        System.exit(same ? 0 : 1);
    }

    private static List<String> lines() {
        List<String> lines = new ArrayList<>();
        lines.add("names\t" + String.join("\t", NAMES));
        for (String pattern : BY_HAND) {
            lines.add(pattern + "\t" + verdict(pattern));
        }
        Random random = new Random(848);
        for (int i = 0; i < 2000; i++) {
            StringBuilder pattern = new StringBuilder();
            for (int n = 1 + random.nextInt(7); n > 0; n--) {
                pattern.append(PIECES[random.nextInt(PIECES.length)]);
            }
            lines.add(pattern + "\t" + verdict(pattern.toString()));
        }
        return lines;
    }

    private static String verdict(String text) {
        try {
            Pattern pattern = Pattern.compile(text);
            StringBuilder verdict = new StringBuilder();
            for (String name : NAMES) {
                verdict.append(pattern.matcher(name).matches() ? '1' : '0');
            }
            return verdict.toString();
        } catch (PatternSyntaxException e) {
            return e.getDescription();
        }
    }
}
