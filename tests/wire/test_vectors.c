/* tests/wire/test_vectors.c — the vectors that Kafka's own classes have confirmed, replayed.
 *
 * tests/clients/vectors/run is what confirms them; here decode gives the recorded values and
 * encode the recorded bytes, for every message and version. */
#include "tests/wire/fill.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct rl_fill_message *find_message(const char *api, const char *side)
{
    for (size_t i = 0; i < rl_fill_messages_count; i++) {
        const struct rl_fill_message *message = &rl_fill_messages[i];
        if (strcmp(message->api, api) == 0 && strcmp(message->side, side) == 0)
            return message;
    }
    return NULL;
}

/* Hexadecimal digits to bytes, from malloc. */
static struct rl_slice from_hex(const char *hex)
{
    size_t bytes = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
    uint8_t *data = malloc(bytes > 0 ? bytes : 1);
    cr_assert_not_null(data);
    for (size_t i = 0; i < bytes; i++) {
        char digits[3] = { hex[2 * i], hex[2 * i + 1], 0 };
        data[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return rl_slice_of(data, bytes);
}

static void replay(const char *api, char *line)
{
    char *rest = line;
    const char *side = strtok_r(rest, " ", &rest);
    const char *version_text = strtok_r(NULL, " ", &rest);
    const char *kind = strtok_r(NULL, " ", &rest);
    const char *hex = strtok_r(NULL, " ", &rest);
    cr_assert(side != NULL && version_text != NULL && kind != NULL && hex != NULL && rest != NULL);
    int16_t version = (int16_t)strtol(version_text, NULL, 10);
    const struct rl_fill_message *message = find_message(api, side);
    cr_assert_not_null(message, "%s %s", api, side);

    struct rl_arena arena;
    rl_arena_init(&arena, 65536, 1 << 24);
    struct rl_slice bytes = from_hex(hex);
    void *msg = malloc(message->codec.struct_bytes);
    cr_assert_not_null(msg);
    struct rl_reader r = rl_rd_of(bytes);
    rl_status st = message->codec.decode(&r, version, &arena, msg);
    cr_assert_eq(st, RL_OK, "%s %s v%d %s: %s", api, side, version, kind, rl_status_name(st));
    cr_assert_eq(rl_rd_remaining(&r), 0);

    char *printed = rl_fill_print(message, version, msg);
    cr_assert_str_eq(printed, rest, "%s %s v%d %s", api, side, version, kind);
    struct rl_slice encoded = rl_fill_encode(message, version, msg);
    cr_assert(rl_slice_equal(encoded, bytes), "%s %s v%d %s", api, side, version, kind);

    free((void *)encoded.data);
    free(printed);
    free(msg);
    free((void *)bytes.data);
    rl_arena_done(&arena);
}

/* Replay one file; returns the count of its vectors. */
static size_t replay_file(const char *api)
{
    char path[4096];
    snprintf(path, sizeof path, RL_VECTORS_DIR "/%s.txt", api);
    FILE *in = fopen(path, "r");
    cr_assert_not_null(in, "%s: write it with wire_write_vectors", path);
    char *line = NULL;
    size_t capacity = 0, count = 0;
    for (ssize_t length; (length = getline(&line, &capacity, in)) > 0; count++) {
        line[length - 1] = '\0';
        replay(api, line);
    }
    free(line);
    fclose(in);
    return count;
}

Test(vectors, every_version_of_every_message_is_there_and_stable)
{
    size_t expected = 0, replayed = 0;
    const char *last = "";
    for (size_t i = 0; i < rl_fill_messages_count; i++) {
        const struct rl_fill_message *message = &rl_fill_messages[i];
        if (strcmp(message->api, "everything") == 0)
            continue;
        expected += (size_t)(message->max_version - message->min_version + 1) * RL_FILL_RANDOM;
        if (strcmp(message->api, last) != 0)
            replayed += replay_file(message->api);
        last = message->api;
    }
    cr_assert_eq(replayed, expected);
}
