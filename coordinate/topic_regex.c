/* coordinate/topic_regex.c — topics that a regular expression stands for.
 *
 * Happy path of a search: a job compiles the pattern and looks at names until its work is done for
 * now; on_stepped, on the shard, submits it again until all names were seen; then the caller's done.
 * Failures: a pattern that is none ends the search with its status; a cancellation, or too much time
 * spent, as soon as the step at hand is over.
 * Kafka's library is RE2/J, whose syntax differs a little from RE2's own: (?<name>…) is a group like
 * (?P<name>…), and \C, a byte of whatever character, does not exist: like \8. */
#include "coordinate/topic_regex.h"
#include "coordinate/re2_shim.h"
#include "core/memory.h"
#include "core/text.h"
#include "io/shard.h"

struct rl_topic_regex {
    struct rl_re2 *re2;
    uint32_t program_size;
};

/* ---- patterns ---- */

/* Where a walk over a pattern is: within \Q…\E and [classes] nothing is a group. */
struct pattern_walk {
    bool quoted, in_class;
};

/* How many bytes from `at` on belong together, and whether they begin a named group of RE2/J's own
 * kind, or are \C. */
static size_t next_token(struct rl_slice pattern, size_t at, struct pattern_walk *walk, bool *ret_group,
                         bool *ret_any_byte)
{
    const uint8_t *p = pattern.data + at;
    size_t left = pattern.bytes - at;
    *ret_group = *ret_any_byte = false;
    if (walk->quoted) {
        walk->quoted = left < 2 || p[0] != '\\' || p[1] != 'E';
        return walk->quoted ? 1 : 2;
    }
    if (p[0] == '\\' && left >= 2) {
        walk->quoted = p[1] == 'Q' && !walk->in_class;
        *ret_any_byte = p[1] == 'C';
        return 2;
    }
    if (walk->in_class) {
        walk->in_class = p[0] != ']';
        return 1;
    }
    if (p[0] == '[') {
        /* A ] that comes first stands for itself. */
        size_t bytes = left >= 2 && p[1] == '^' ? 2 : 1;
        walk->in_class = true;
        return left > bytes && p[bytes] == ']' ? bytes + 1 : bytes;
    }
    *ret_group = left >= 3 && memcmp(p, "(?<", 3) == 0;
    return *ret_group ? 3 : 1;
}

/* The pattern in RE2's own syntax. */
static void translate(struct rl_slice pattern, struct rl_text *out)
{
    struct pattern_walk walk = { 0 };
    for (size_t at = 0; at < pattern.bytes;) {
        bool is_group, is_any_byte;
        size_t bytes = next_token(pattern, at, &walk, &is_group, &is_any_byte);
        if (is_any_byte)
            rl_text_append_string(out, "\\8");
        else if (is_group)
            rl_text_append_string(out, "(?P<");
        else
            rl_text_append(out, pattern.data + at, bytes);
        at += bytes;
    }
}

static rl_status compile(const struct rl_text *text, const char **ret_why, struct rl_topic_regex **ret_regex)
{
    struct rl_re2 *re2;
    switch (rl_re2_create(rl_text_string(text), text->bytes, RL_TOPIC_REGEX_MEMORY_BYTES, ret_why, &re2)) {
    case RL_RE2_OK:
        break;
    case RL_RE2_INVALID:
        return RL_EMALFORMED;
    case RL_RE2_NO_MEMORY:
        return RL_ENOMEM;
    }
    struct rl_topic_regex *regex = rl_alloc(sizeof *regex);
    *regex = (struct rl_topic_regex){ .re2 = re2, .program_size = rl_re2_program_size(re2) };
    *ret_regex = regex;
    return RL_OK;
}

rl_status rl_topic_regex_create(struct rl_slice pattern, const char **ret_why,
                                struct rl_topic_regex **ret_regex)
{
    struct rl_text text = { 0 };
    if (pattern.bytes > RL_TOPIC_REGEX_BYTES_MAX) {
        *ret_why = "the expression is too large";
        return RL_EMALFORMED;
    }
    translate(pattern, &text);
    rl_status status = compile(&text, ret_why, ret_regex);
    rl_text_done(&text);
    return status;
}

void rl_topic_regex_free(struct rl_topic_regex *regex)
{
    if (regex == NULL)
        return;
    rl_re2_free(regex->re2);
    rl_free(regex);
}

bool rl_topic_regex_matches(const struct rl_topic_regex *regex, struct rl_slice name)
{
    return rl_re2_matches(regex->re2, (const char *)name.data, name.bytes);
}

/* ---- a search ---- */

/* Helper thread. */
static void run_step(struct rl_op *op)
{
    struct rl_topic_search *search = op->arg;
    uint64_t work = 0;
    op->status = RL_OK;
    if (search->regex == NULL)
        op->status = rl_topic_regex_create(search->pattern, &search->why, &search->regex);
    while (op->status == RL_OK && search->next < search->name_count && work < RL_TOPIC_REGEX_STEP_WORK) {
        struct rl_slice name = search->names[search->next];
        if (rl_topic_regex_matches(search->regex, name))
            search->matches[search->match_count++] = search->next;
        work += (name.bytes + 1) * search->regex->program_size;
        search->next++;
    }
}

static void on_stepped(struct rl_op *op);

static void submit(struct rl_shard *shard, struct rl_topic_search *search)
{
    search->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_step, .done = on_stepped, .arg = search };
    rl_submit(shard, &search->op);
}

static void on_stepped(struct rl_op *op)
{
    struct rl_topic_search *search = op->arg;
    bool is_over = op->status != RL_OK || search->next == search->name_count;
    search->status = search->cancelled ? RL_ECANCELLED : op->status;
    if (search->status == RL_OK && !is_over && rl_self->now_ns < search->deadline_ns) {
        submit(rl_self, search);
        return;
    }
    if (search->status == RL_OK && !is_over)
        search->status = RL_ETIMEOUT;
    rl_topic_regex_free(search->regex);
    search->regex = NULL;
    if (search->status != RL_OK)
        search->match_count = 0;
    search->done(search);
}

void rl_topic_search_start(struct rl_shard *shard, struct rl_topic_search *search)
{
    search->matches = rl_alloc(RL_MAX(search->name_count, 1) * sizeof *search->matches);
    search->match_count = search->next = 0;
    search->regex = NULL;
    search->cancelled = false;
    search->deadline_ns = shard->now_ns + RL_TOPIC_REGEX_TIME_NS;
    submit(shard, search);
}

void rl_topic_search_cancel(struct rl_topic_search *search)
{
    search->cancelled = true;
}

void rl_topic_search_done(struct rl_topic_search *search)
{
    rl_free(search->matches);
    search->matches = NULL;
    search->match_count = 0;
}
