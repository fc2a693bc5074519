/* tests/coordinate/test_topic_regex.c — patterns: what RE2/J, Kafka's library, says of two thousand of
 * them (vectors/topic_regexes.txt), what a malicious one can cost, and searches on a helper. */
#include "coordinate/topic_regex.h"
#include "core/random.h"
#include "mem_backend.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { NAMES_MAX = 32 };

static rl_status create(const char *pattern, const char **ret_why, struct rl_topic_regex **ret_regex)
{
    *ret_why = NULL;
    *ret_regex = NULL;
    return rl_topic_regex_create(rl_slice_of_string(pattern), ret_why, ret_regex);
}

static bool matches(const char *pattern, const char *name)
{
    struct rl_topic_regex *regex;
    const char *why;
    cr_assert_eq(create(pattern, &why, &regex), RL_OK, "%s: %s", pattern, why);
    bool is_match = rl_topic_regex_matches(regex, rl_slice_of_string(name));
    rl_topic_regex_free(regex);
    return is_match;
}

static void refused(const char *pattern, const char *expected)
{
    struct rl_topic_regex *regex;
    const char *why;
    cr_assert_eq(create(pattern, &why, &regex), RL_EMALFORMED, "%.40s", pattern);
    cr_assert_str_eq(why, expected);
}

/* ---- as Kafka's library ---- */

/* RE2/J has no words for a ) too many, and sees a name that is there twice before RE2 does. */
static bool same_words(const char *ours, const char *theirs)
{
    if (strcmp(theirs, "regexp/syntax: internal error") == 0)
        return strcmp(ours, "unexpected )") == 0;
    if (strcmp(theirs, "duplicate capture group name") == 0)
        return true;
    return strcmp(ours, theirs) == 0;
}

/* Is it a verdict on names, and which? */
static bool is_verdict(const char *text)
{
    return text[0] != '\0' && strspn(text, "01") == strlen(text);
}

static void compare(const char *pattern, const char *theirs, char *const *names)
{
    struct rl_topic_regex *regex;
    const char *why;
    rl_status status = create(pattern, &why, &regex);
    if (!is_verdict(theirs)) {
        cr_assert_eq(status, RL_EMALFORMED, "'%s' is no pattern: %s", pattern, theirs);
        cr_assert(same_words(why, theirs), "'%s': '%s', not '%s'", pattern, why, theirs);
        return;
    }
    cr_assert_eq(status, RL_OK, "'%s': %s", pattern, why);
    for (size_t i = 0; theirs[i] != '\0'; i++) {
        cr_assert_eq(rl_topic_regex_matches(regex, rl_slice_of_string(names[i])), theirs[i] == '1',
                     "'%s' and %s", pattern, names[i]);
    }
    rl_topic_regex_free(regex);
}

Test(topic_regex, as_kafka_does)
{
    FILE *file = fopen(RL_VECTORS_DIR "/topic_regexes.txt", "r");
    char *names[NAMES_MAX] = { 0 }, *line = NULL, *first = NULL;
    size_t capacity = 0, first_capacity = 0, count = 0, patterns = 0;
    cr_assert_not_null(file);
    cr_assert_gt(getline(&first, &first_capacity, file), 0);
    first[strcspn(first, "\n")] = '\0';
    char *rest = first;
    (void)strtok_r(rest, "\t", &rest);
    for (char *name; (name = strtok_r(NULL, "\t", &rest)) != NULL && count < NAMES_MAX;)
        names[count++] = name;
    for (ssize_t bytes; (bytes = getline(&line, &capacity, file)) > 0; patterns++) {
        line[bytes - 1] = '\0';
        char *tab = strrchr(line, '\t');
        *tab = '\0';
        compare(line, tab + 1, names);
    }
    cr_assert_geq(patterns, 2000);
    free(line);
    free(first);
    (void)fclose(file);
}

/* ---- what a stranger may send ---- */

Test(topic_regex, the_whole_name_matches)
{
    cr_assert(matches("orders", "orders"));
    cr_assert(!matches("orders", "orders2") && !matches("rders", "orders") && !matches("^orders", "orders2"));
    cr_assert(matches("^orders$", "orders"));
    cr_assert(matches("(?s).*", ""));
    cr_assert(matches("", "") && !matches("", "a"));
    cr_assert(matches("\xd0\xb6.", "\xd0\xb6\xc3\xa9"), "a character, not a byte");
}

Test(topic_regex, not_a_pattern)
{
    refused("a\xff", "invalid UTF-8");
    refused("(a", "missing closing )");
    refused("(((a{1000}){1000}))", "invalid repeat count");
    refused("((a{100}){100}){100}", "invalid repeat count");
    refused("(\\pL{30}){30}", "the expression is too large");
    struct rl_topic_regex *regex;
    const char *why;
    static const uint8_t with_nul[] = { 'a', 0, 'b' };
    cr_assert_eq(rl_topic_regex_create(rl_slice_of(with_nul, 3), &why, &regex), RL_OK, "a byte like others");
    cr_assert(rl_topic_regex_matches(regex, rl_slice_of(with_nul, 3)));
    rl_topic_regex_free(regex);
}

/* Patterns as long as may be, of the same piece again and again; and one byte more. */
Test(topic_regex, long_patterns)
{
    static const char *const pieces[] = { "a", "(", "a|", "[a", "(?:a", "\\Q", "a?", "(?<n>", "[[:alpha:]]", "{9}",
                                         "(a*)*", "\\pL*" };
    char *text = malloc(RL_TOPIC_REGEX_BYTES_MAX + 2);
    cr_assert_not_null(text);
    for (size_t i = 0; i < RL_ARRAY_COUNT(pieces); i++) {
        size_t piece = strlen(pieces[i]), bytes = 0;
        for (; bytes + piece <= RL_TOPIC_REGEX_BYTES_MAX; bytes += piece)
            memcpy(text + bytes, pieces[i], piece);
        struct rl_topic_regex *regex = NULL;
        const char *why = NULL;
        rl_status status = rl_topic_regex_create(rl_slice_of(text, bytes), &why, &regex);
        cr_assert(status == RL_OK ? regex != NULL : status == RL_EMALFORMED && why != NULL, "%s", pieces[i]);
        cr_assert(i != 0 || status == RL_OK, "letters are a pattern");
        rl_topic_regex_free(regex);
    }
    memset(text, 'a', RL_TOPIC_REGEX_BYTES_MAX + 1);
    struct rl_topic_regex *regex;
    const char *why;
    cr_assert_eq(rl_topic_regex_create(rl_slice_of(text, RL_TOPIC_REGEX_BYTES_MAX + 1), &why, &regex), RL_EMALFORMED);
    cr_assert_str_eq(why, "the expression is too large");
    free(text);
}

Test(topic_regex, arbitrary_bytes)
{
    struct rl_random random;
    rl_random_init(&random, 9);
    for (int i = 0; i < 20000; i++) {
        static const char letters[] = "ab()[]{}<>?*+|\\^$.,-:=!PQECnd12\xc3\xa9";
        uint8_t text[40];
        size_t bytes = rl_random_below(&random, sizeof text);
        for (size_t k = 0; k < bytes; k++)
            text[k] = (uint8_t)letters[rl_random_below(&random, sizeof letters - 1)];
        struct rl_topic_regex *regex = NULL;
        const char *why = NULL;
        rl_status status = rl_topic_regex_create(rl_slice_of(text, bytes), &why, &regex);
        cr_assert(status == RL_OK ? regex != NULL : status == RL_EMALFORMED && why != NULL);
        if (status == RL_OK)
            (void)rl_topic_regex_matches(regex, rl_slice_of(text, bytes));
        rl_topic_regex_free(regex);
    }
}

/* ---- searches ---- */

struct rig {
    struct rl_mem *mem;
    struct rl_shard_set *set;
    struct rl_topic_search search;
    uint32_t done;
};

static rl_status start(struct rl_shard *shard, void *arg)
{
    (void)shard;
    (void)arg;
    return RL_OK;
}

static void on_done(struct rl_topic_search *search)
{
    struct rig *rig = search->arg;
    rig->done++;
}

static void rig_start(struct rig *rig, const char *pattern, const struct rl_slice *names, uint32_t count)
{
    *rig = (struct rig){ .mem = rl_mem_create(1) };
    struct rl_shard_set_options options = { .shard_count = 1, .backend = &rl_backend_mem,
                                            .disk = rl_mem_disk(rig->mem) };
    cr_assert_eq(rl_shard_set_create(&options, &rig->set), RL_OK);
    cr_assert_eq(rl_shard_set_start_stepped(rig->set, start, NULL), RL_OK);
    rl_self = rl_shard_set_get(rig->set, 0);
    rl_mem_hold_helpers(rig->mem, true);
    rig->search = (struct rl_topic_search){ .pattern = rl_slice_of_string(pattern), .names = names,
                                            .name_count = count, .done = on_done, .arg = rig };
    rl_topic_search_start(rl_self, &rig->search);
}

/* One job, and what its shard does with it. */
static void rig_step(struct rig *rig)
{
    rl_mem_settle(rig->set);
    cr_assert(rl_mem_run_helper(rig->mem));
    rl_mem_settle(rig->set);
}

static void rig_stop(struct rig *rig)
{
    cr_assert_eq(rig->done, 1);
    cr_assert_eq(rl_mem_helpers_waiting(rig->mem), 0);
    rl_topic_search_done(&rig->search);
    rl_shard_set_stop(rig->set);
    rl_shard_set_join(rig->set, NULL, NULL);
    rl_shard_set_free(rig->set);
    rl_mem_free(rig->mem);
}

Test(topic_regex, search)
{
    struct rl_slice names[] = { rl_slice_of_string("orders"), rl_slice_of_string("tweets"),
                                rl_slice_of_string("orders-eu"), rl_slice_of_string("") };
    struct rig rig;
    rig_start(&rig, "orders.*", names, 4);
    cr_assert_eq(rig.done, 0);
    rig_step(&rig);
    cr_assert_eq(rig.search.status, RL_OK);
    cr_assert_eq(rig.search.match_count, 2);
    cr_assert(rig.search.matches[0] == 0 && rig.search.matches[1] == 2);
    rig_stop(&rig);
}

Test(topic_regex, search_without_names_only_asks)
{
    struct rig rig;
    rig_start(&rig, "orders.*", NULL, 0);
    rig_step(&rig);
    cr_assert_eq(rig.search.status, RL_OK);
    rig_stop(&rig);
    rig_start(&rig, "orders(", NULL, 0);
    rig_step(&rig);
    cr_assert_eq(rig.search.status, RL_EMALFORMED);
    cr_assert_str_eq(rig.search.why, "missing closing )");
    rig_stop(&rig);
}

/* Many names and a large program: several steps, none of which takes more than its work. */
Test(topic_regex, search_in_steps)
{
    enum { NAMES = 30000 };
    struct rl_slice *names = malloc(NAMES * sizeof *names);
    char (*texts)[40] = malloc(NAMES * sizeof *texts);
    struct rig rig;
    cr_assert(names != NULL && texts != NULL);
    for (int i = 0; i < NAMES; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "a-topic-of-some-length-%d", i);
        names[i] = rl_slice_of_string(texts[i]);
    }
    rig_start(&rig, "([a-z-]{1,100}|x{1,100}|y{1,100})+\\d*7", names, NAMES);
    uint32_t steps = 0;
    for (; rig.done == 0; steps++)
        rig_step(&rig);
    cr_assert_gt(steps, 3);
    cr_assert_eq(rig.search.status, RL_OK);
    cr_assert_eq(rig.search.match_count, NAMES / 10);
    cr_assert_eq(rig.search.matches[0], 7);
    rig_stop(&rig);

    rig_start(&rig, "([a-z-]{1,100}|x{1,100}|y{1,100})+\\d*7", names, NAMES);
    rig_step(&rig);
    cr_assert_eq(rig.done, 0);
    rl_topic_search_cancel(&rig.search);
    rig_step(&rig);
    cr_assert_eq(rig.search.status, RL_ECANCELLED);
    cr_assert_eq(rig.search.match_count, 0);
    rig_stop(&rig);

    rig_start(&rig, "([a-z-]{1,100}|x{1,100}|y{1,100})+\\d*7", names, NAMES);
    rig_step(&rig);
    rl_mem_advance(rig.mem, RL_TOPIC_REGEX_TIME_NS);
    rig_step(&rig);
    cr_assert_eq(rig.search.status, RL_ETIMEOUT);
    cr_assert_eq(rig.search.match_count, 0);
    rig_stop(&rig);
    free(names);
    free(texts);
}
