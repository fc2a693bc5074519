/* coordinate/topic_regex.h — topics that a regular expression stands for (KIP-848, RE2 syntax).
 *
 * A pattern must match the whole name, as in Kafka.  Whether a pattern is one, and which topics it
 * matches, is found by a search on a helper thread: it compiles the pattern and then looks at as many
 * names in one go as RL_TOPIC_REGEX_STEP_WORK allows, comes back to its shard, and goes on, so that
 * other jobs have their turn.  RE2 takes time linear in a name and memory up to a bound, whatever the
 * pattern.
 * Stricter than Kafka: a pattern has up to 4 KiB, and repetitions within repetitions up to 1000 in all.
 * Source: KIP-848; RE2's syntax page; TopicRegexResolver of Kafka 4.3.1. */
#ifndef RL_COORDINATE_TOPIC_REGEX_H
#define RL_COORDINATE_TOPIC_REGEX_H

#include "core/slice.h"
#include "core/status.h"
#include "io/op.h"

/* What a pattern may cost (measured with the worst that were found): a second to compile, a tenth of a
 * second per name.  Ordinary ones take microseconds for either. */
#define RL_TOPIC_REGEX_BYTES_MAX 4096
#define RL_TOPIC_REGEX_MEMORY_BYTES (512 << 10) /* of the program, and of what matching keeps */
#define RL_TOPIC_REGEX_STEP_WORK (UINT64_C(1) << 22)    /* in one go: instructions times bytes of names */
#define RL_TOPIC_REGEX_TIME_NS (INT64_C(10) * 1000 * 1000 * 1000)   /* of a search, waiting included */

struct rl_topic_regex;

/* Compile a pattern.  The worst take up to a second: not on a shard if the pattern is a stranger's.
 * RL_OK; RL_EMALFORMED: it is no pattern or too large, *ret_why says it in Kafka's words (static
 * storage); RL_ENOMEM.  Any thread. */
rl_status rl_topic_regex_create(struct rl_slice pattern, const char **ret_why,
                                struct rl_topic_regex **ret_regex);
/* NULL is fine. */
void rl_topic_regex_free(struct rl_topic_regex *regex);
/* Any thread. */
bool rl_topic_regex_matches(const struct rl_topic_regex *regex, struct rl_slice name);

struct rl_topic_search;
typedef void rl_topic_search_fn(struct rl_topic_search *search);

/* One search, a struct of the caller's.  All zero but for what the caller sets. */
struct rl_topic_search {
    /* The caller's, lent until done runs: the pattern, and names that nobody changes meanwhile.  No
     * names: is it a pattern? */
    struct rl_slice pattern;
    const struct rl_slice *names;
    uint32_t name_count;
    rl_topic_search_fn *done;           /* runs on the shard that started it, not within start */
    void *arg;

    /* The result, when done runs: */
    rl_status status;                   /* as rl_topic_regex_create; RL_ECANCELLED; RL_ETIMEOUT */
    const char *why;                    /* RL_EMALFORMED: static storage */
    uint32_t *matches;                  /* indices of names, ascending; until rl_topic_search_done */
    uint32_t match_count;

    /* topic_regex.c only: */
    struct rl_op op;
    struct rl_topic_regex *regex;
    uint32_t next;                      /* the name to go on with */
    int64_t deadline_ns;
    bool cancelled;
};

/* Shard thread. */
void rl_topic_search_start(struct rl_shard *shard, struct rl_topic_search *search);
/* End soon: done runs as ever, after the step at hand, with RL_ECANCELLED.  Shard thread, while the
 * search runs. */
void rl_topic_search_cancel(struct rl_topic_search *search);
/* Free the result.  Shard thread, when done has run (or within it). */
void rl_topic_search_done(struct rl_topic_search *search);

#endif
