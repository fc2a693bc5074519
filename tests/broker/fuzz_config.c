/* tests/broker/fuzz_config.c — libFuzzer over everything configuration reads from outside.
 *
 * Input: one byte chooses what the rest is: a .properties file, the five listener keys (one a
 * line), a topic's overrides (key=value a line), or one environment variable.  What is accepted
 * must also finish, resolve and describe; a canonical value must be its own canonical form. */
#include "broker/topic_config.h"
#include "core/memory.h"
#include "core/slice.h"

#include <string.h>

#define OVERRIDES_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void describe_explicit(const struct rl_config *config)
{
    struct rl_config_entry entry;
    for (size_t i = 0; i < config->value_count; i++)
        if (config->values[i].key->level == RL_CONFIG_BROKER)
            rl_config_describe(config, config->values[i].key, &entry);
}

static void fuzz_file(const char *text, size_t bytes)
{
    struct rl_config config;
    rl_config_init(&config, 4);
    rl_config_load_text(&config, "fuzz", text, bytes);
    rl_status st = rl_config_finish(&config);
    RL_ASSERT((st == RL_OK) == (config.errors.count == 0));
    if (st == RL_OK) {
        RL_ASSERT(config.shards >= 1 && config.shards <= RL_SHARDS_MAX && config.node_id >= 0);
        RL_ASSERT(config.listeners.count >= 1 && config.data_dir != NULL);
    }
    describe_explicit(&config);
    rl_config_done(&config);
}

static void fuzz_variable(const char *text)
{
    struct rl_config config;
    const char *environment[] = { text, NULL };
    rl_config_init(&config, 4);
    rl_config_load_environment(&config, environment);
    rl_config_finish(&config);
    rl_config_done(&config);
}

/* Cut text at line ends into at most `count` strings, in place; the others are NULL. */
static void cut_lines(char *text, const char **lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lines[i] = text;
        char *end = text != NULL ? strchr(text, '\n') : NULL;
        if (end != NULL)
            *end++ = '\0';
        text = end;
    }
}

static void fuzz_listeners(char *text)
{
    const char *lines[5];
    cut_lines(text, lines, RL_ARRAY_COUNT(lines));
    struct rl_listener_settings settings = { lines[0], lines[1], lines[2], lines[3], lines[4] };
    struct rl_listener_set set;
    char message[RL_CONFIG_MESSAGE_BYTES] = "";
    if (rl_listeners_parse(&settings, &set, message, sizeof message) == RL_OK)
        RL_ASSERT(set.count >= 1 && set.inter_broker_index < set.count);
    else
        RL_ASSERT(message[0] != '\0' && strchr(message, ':') != NULL);
}

static void check_canonical(const struct rl_config_key *key, const char *value)
{
    char message[RL_CONFIG_MESSAGE_BYTES], *once = NULL, *twice = NULL;
    RL_ASSERT(rl_config_key_check(key, value, message, sizeof message, &once) == RL_OK);
    RL_ASSERT(rl_config_key_check(key, once, message, sizeof message, &twice) == RL_OK);
    RL_ASSERT(strcmp(once, twice) == 0);
    rl_free(once);
    rl_free(twice);
}

static void fuzz_overrides(const struct rl_config *config, char *text)
{
    const char *lines[OVERRIDES_MAX];
    struct rl_config_pair overrides[OVERRIDES_MAX];
    size_t count = 0;
    cut_lines(text, lines, OVERRIDES_MAX);
    for (size_t i = 0; i < OVERRIDES_MAX && lines[i] != NULL; i++) {
        char *equals = strchr((char *)(uintptr_t)lines[i], '=');
        if (equals != NULL)
            *equals++ = '\0';
        overrides[count++] = (struct rl_config_pair){ lines[i], equals };
    }
    char message[RL_CONFIG_MESSAGE_BYTES];
    struct rl_log_config log;
    bool valid = rl_topic_config_validate(config, overrides, count, message,
                                          sizeof message) == RL_OK;
    size_t passed_over = rl_topic_config_resolve(config, overrides, count, &log);
    if (!valid)
        return;
    RL_ASSERT(passed_over == 0);
    for (size_t i = 0; i < count; i++)
        check_canonical(rl_config_key_find(RL_CONFIG_TOPIC, overrides[i].key), overrides[i].value);
    struct rl_arena arena;
    struct rl_config_entry entry;
    rl_arena_init(&arena, 4096, 1 << 20);
    for (size_t i = 0; i < rl_config_key_count(RL_CONFIG_TOPIC); i++)
        RL_ASSERT(rl_topic_config_describe(config, overrides, count,
                                           rl_config_key_at(RL_CONFIG_TOPIC, i), &arena,
                                           &entry) == RL_OK);
    rl_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct rl_config config;
    if (config.magic == 0) {
        rl_config_init(&config, 4);
        RL_ASSERT(rl_config_finish(&config) == RL_OK);
    }
    if (bytes == 0)
        return 0;
    char *text = rl_strndup((const char *)data + 1, bytes - 1);
    switch (data[0] % 4) {
    case 0: fuzz_file((const char *)data + 1, bytes - 1); break;
    case 1: fuzz_listeners(text); break;
    case 2: fuzz_overrides(&config, text); break;
    case 3: fuzz_variable(text); break;
    }
    rl_free(text);
    return 0;
}
