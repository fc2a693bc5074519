/* coordinate/consumer_regex.c — subscriptions by a regular expression: what it matches is looked for off
 * the shard.
 *
 * Happy path: a call with an expression that its group does not know waits until that has been looked
 * for among all topics; then it goes on with what was found, so that its member hears of it at once.  A
 * shard looks for one at a time, in the order they came: expensive ones cannot fill the helpers.  A
 * heartbeat that finds the topics changed looks again, at most every ten seconds; if something else
 * matches, the group is in its next epoch.
 * Failures: an expression that is none is INVALID_REGEX, with RE2's reason; a search that takes too long
 * is NOT_AVAILABLE, and clients ask again.  Groups that are dropped end the waiting, and so does a
 * connection that is gone.
 * Source: KIP-848; Kafka's GroupCoordinatorService, TopicRegexResolver. */
#include "coordinate/consumer_group_internal.h"
#include "coordinate/owned.h"
#include "coordinate/topic_regex.h"

#define REFRESH_MS 10000                /* Kafka's REGEX_BATCH_REFRESH_MIN_INTERVAL_MS */

struct rl_regex_search {
    struct rl_topic_search search;
    struct rl_groups *groups;           /* NULL: nobody wants to know any more */
    struct rl_slice group_id, text;     /* owned */
    struct rl_slice *names;             /* owned: all topics, as they were at the start; NULL: it waits */
    uint64_t image_generation;
    struct rl_consumer_heartbeat *call; /* waits for it; NULL: the group looks again */
    struct rl_list link;
};

static void search_free(struct rl_regex_search *s)
{
    for (uint32_t i = 0; i < s->search.name_count; i++)
        rl_owned_free(&s->names[i]);
    rl_free(s->names);
    rl_owned_free(&s->group_id);
    rl_owned_free(&s->text);
    rl_topic_search_done(&s->search);
    rl_free(s);
}

/* ---- what was found ---- */

static void matches_of(const struct rl_regex_search *s, struct rl_slice *names)
{
    for (uint32_t i = 0; i < s->search.match_count; i++)
        names[i] = s->names[s->search.matches[i]];
}

static void call_goes_on(struct rl_regex_search *s, struct rl_groups *groups)
{
    struct rl_consumer_heartbeat *call = s->call;
    call->search = NULL;
    struct rl_slice *found = rl_alloc_zero(s->search.match_count + 1, sizeof *found);
    matches_of(s, found);
    if (s->search.status == RL_OK) {
        call->found = found;
        call->found_count = s->search.match_count;
        call->found_generation = s->image_generation;
        rl_consumer_heartbeat_go_on(groups, call);
        call->found = NULL;
    } else {
        call->error = s->search.status == RL_EMALFORMED ? RL_GROUP_INVALID_REGEX : RL_GROUP_NOT_AVAILABLE;
        if (s->search.status == RL_EMALFORMED)
            rl_text_printf(&call->message, "SubscribedTopicRegex `%.*s` is not a valid regular expression: %s.",
                           (int)s->text.bytes, (const char *)s->text.data, s->search.why);
        rl_list_push_back(groups->answers, &call->answer.link);
    }
    rl_free(found);
    rl_shard_again(groups->shard);      /* a job's end is no end of a turn by itself */
}

static bool matches_are(const struct rl_group_regex *regex, const struct rl_slice *names, uint32_t count)
{
    if (regex->topic_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!rl_slice_equal(regex->topics[i], names[i]))
            return false;
    return true;
}

void rl_consumer_regex_take(struct rl_group *group, struct rl_group_regex *regex, const struct rl_slice *topics,
                            uint32_t count, uint64_t image_generation)
{
    rl_group_regex_set_topics(group, regex, topics, count);
    regex->image_generation = image_generation;
    regex->resolved_ms = group->groups->shard->wall_ms;
    rl_consumer_store_regex(group, regex);
}

static void group_looked_again(struct rl_regex_search *s, struct rl_groups *groups)
{
    struct rl_group *group = rl_groups_find(groups, s->group_id);
    struct rl_group_regex *regex = group != NULL && group->consumer != NULL
                                 ? rl_table_find(&group->consumer->regexes, s->text) : NULL;
    if (regex == NULL)
        return;
    regex->is_searched = false;
    if (s->search.status != RL_OK)
        return;
    struct rl_slice *found = rl_alloc_zero(s->search.match_count + 1, sizeof *found);
    matches_of(s, found);               /* names come sorted, as the image has them */
    if (regex->resolved && matches_are(regex, found, s->search.match_count)) {
        regex->image_generation = s->image_generation;
        regex->resolved_ms = groups->shard->wall_ms;
    } else {
        rl_consumer_regex_take(group, regex, found, s->search.match_count, s->image_generation);
        rl_consumer_group_next_epoch(group);
        rl_consumer_group_write(group);
        rl_shard_again(groups->shard);
    }
    rl_free(found);
}

static void search_next(const struct rl_list *searches);

static void on_searched(struct rl_topic_search *search)
{
    struct rl_regex_search *s = search->arg;
    struct rl_groups *groups = s->groups;
    if (groups != NULL) {
        rl_list_remove(&s->link);
        search_next(groups->searches);
        if (s->call != NULL)
            call_goes_on(s, groups);
        else
            group_looked_again(s, groups);
    }
    search_free(s);
}

/* ---- looking for it ---- */

/* The first of the list, if it waits. */
static void search_next(const struct rl_list *searches)
{
    struct rl_list *node = rl_list_first(searches);
    struct rl_regex_search *s = node != NULL ? RL_LIST_ENTRY(node, struct rl_regex_search, link) : NULL;
    if (s == NULL || s->names != NULL)
        return;
    const struct rl_groups *groups = s->groups;
    const struct rl_image *image = groups->image != NULL ? groups->image(groups) : rl_image_current(groups->shard);
    s->image_generation = image->generation;
    s->names = rl_alloc_zero(image->topic_count + 1, sizeof *s->names);
    for (uint32_t i = 0; i < image->topic_count; i++)
        s->names[i] = rl_owned_copy(rl_slice_of_string(image->by_name[i]->name));
    s->search = (struct rl_topic_search){ .pattern = s->text, .names = s->names, .name_count = image->topic_count,
                                          .done = on_searched, .arg = s };
    rl_topic_search_start(groups->shard, &s->search);
}

static void search_start(struct rl_groups *groups, struct rl_slice group_id, struct rl_slice text,
                         struct rl_consumer_heartbeat *call)
{
    struct rl_regex_search *s = rl_alloc_zero(1, sizeof *s);
    s->groups = groups;
    s->group_id = rl_owned_copy(group_id);
    s->text = rl_owned_copy(text);
    s->call = call;
    if (call != NULL)
        call->search = s;
    rl_list_push_back(groups->searches, &s->link);
    search_next(groups->searches);
}

bool rl_consumer_regex_search(struct rl_groups *groups, struct rl_consumer_heartbeat *call)
{
    const struct rl_group *group = rl_groups_find(groups, call->group_id);
    const struct rl_group_regex *regex = group != NULL && group->consumer != NULL
                                       ? rl_table_find(&group->consumer->regexes, call->regex) : NULL;
    if (regex != NULL && regex->resolved)
        return false;
    search_start(groups, call->group_id, call->regex, call);
    return true;
}

void rl_consumer_group_maybe_resolve(struct rl_group *group)
{
    uint64_t generation = rl_group_image(group)->generation;
    int64_t wall_ms = group->groups->shard->wall_ms;
    uint32_t at = 0;
    for (struct rl_group_regex *regex; (regex = rl_table_next(&group->consumer->regexes, &at)) != NULL;) {
        bool due = !regex->resolved ||
                   (regex->image_generation != generation && wall_ms - regex->resolved_ms >= REFRESH_MS);
        if (!due || regex->is_searched)
            continue;
        regex->is_searched = true;
        search_start(group->groups, group->id, regex->text, NULL);
    }
}

static void answer_waiting(struct rl_regex_search *s, struct rl_groups *groups, enum rl_group_error error)
{
    struct rl_consumer_heartbeat *call = s->call;
    s->call = NULL;
    if (call == NULL)
        return;
    call->search = NULL;
    call->error = error;
    rl_list_push_back(groups->answers, &call->answer.link);
}

void rl_consumer_regex_forget(struct rl_groups *groups, enum rl_group_error error)
{
    RL_LIST_EACH_SAFE(node, groups->searches) {
        struct rl_regex_search *s = RL_LIST_ENTRY(node, struct rl_regex_search, link);
        if (s->groups != groups)
            continue;
        rl_list_remove(node);
        s->groups = NULL;
        answer_waiting(s, groups, error);
        if (s->names != NULL)
            rl_topic_search_cancel(&s->search);
        else
            search_free(s);
    }
    search_next(groups->searches);
}

void rl_consumer_heartbeat_forget(struct rl_groups *groups, struct rl_consumer_heartbeat *call)
{
    struct rl_regex_search *s = call->search;
    if (s == NULL)
        return;
    answer_waiting(s, groups, RL_GROUP_LOADING);
    if (s->names != NULL) {
        rl_topic_search_cancel(&s->search);     /* the next one begins when it has come back */
        return;
    }
    rl_list_remove(&s->link);
    search_free(s);
}
