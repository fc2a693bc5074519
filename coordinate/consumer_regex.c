/* coordinate/consumer_regex.c — subscriptions by a regular expression. */
#include "coordinate/consumer_group_internal.h"

enum rl_group_error rl_consumer_regex_check(struct rl_slice regex, struct rl_text *message)
{
    rl_text_printf(message, "SubscribedTopicRegex `%.*s` cannot be used: there are no regular expressions yet.",
                   (int)regex.bytes, (const char *)regex.data);
    return RL_GROUP_INVALID_REGEX;
}

void rl_consumer_group_maybe_resolve(struct rl_group *group)
{
    (void)group;
}
