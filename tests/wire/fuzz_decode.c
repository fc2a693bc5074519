/* tests/wire/fuzz_decode.c — libFuzzer over every decoder.
 *
 * Input: one byte chooses the message, one the version, the rest is decoded, with an arena
 * limit that the third byte's low bits choose, too.  Happy path: what is accepted can be
 * encoded, and that decodes to the same size, bytes and text.  Failures abort. */
#include "tests/wire/fill.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void *new_message(const struct rl_fill_message *message)
{
    void *msg = malloc(message->codec.struct_bytes);
    RL_ASSERT(msg != NULL);
    memset(msg, 0xa5, message->codec.struct_bytes);     /* decode sets every field itself */
    return msg;
}

static void check_accepted(const struct rl_fill_message *message, int16_t version, const void *msg)
{
    struct rl_slice encoded = rl_fill_encode(message, version, msg);
    struct rl_arena arena;
    rl_arena_init(&arena, 4096, SIZE_MAX / 2);
    void *again = new_message(message);
    struct rl_reader r = rl_rd_of(encoded);
    RL_ASSERT(message->codec.decode(&r, version, &arena, again) == RL_OK);
    RL_ASSERT(rl_rd_remaining(&r) == 0);
    struct rl_slice encoded_again = rl_fill_encode(message, version, again);
    RL_ASSERT(rl_slice_equal(encoded, encoded_again));

    char *one = rl_fill_print(message, version, msg);
    char *other = rl_fill_print(message, version, again);
    RL_ASSERT(strcmp(one, other) == 0);

    free(one);
    free(other);
    free((void *)encoded.data);
    free((void *)encoded_again.data);
    free(again);
    rl_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 3)
        return 0;
    const struct rl_fill_message *message = &rl_fill_messages[data[0] % rl_fill_messages_count];
    int versions = message->max_version - message->min_version + 1;
    int16_t version = (int16_t)(message->min_version + data[1] % versions);
    size_t limit_bytes = (size_t)1 << (4 + data[2] % 20);

    struct rl_arena arena;
    rl_arena_init(&arena, 4096, limit_bytes);
    void *msg = new_message(message);
    struct rl_reader r = rl_rd_of(rl_slice_of(data + 3, bytes - 3));
    rl_status st = message->codec.decode(&r, version, &arena, msg);
    RL_ASSERT(arena.used_bytes <= limit_bytes);
    RL_ASSERT(st == rl_rd_done(&r));
    if (st == RL_OK)
        check_accepted(message, version, msg);
    else
        RL_ASSERT(rl_rd_remaining(&r) == 0);
    free(msg);
    rl_arena_done(&arena);
    return 0;
}
