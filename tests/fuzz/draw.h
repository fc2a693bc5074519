/* tests/fuzz/draw.h — everything that is chosen comes out of a fuzzer's input.
 *
 * A byte string is read from its beginning; behind its end there are zeros.  A message takes a byte
 * for each of its choices, or all of them from one seed of two bytes: short inputs make long runs,
 * and single bytes can still be tried out.
 * draw.c also answers what tests/wire/fill.h's functions ask, so every message of the schema can be
 * drawn; values are such as the field's name lets one expect, edges, or anything. */
#ifndef RL_TESTS_FUZZ_DRAW_H
#define RL_TESTS_FUZZ_DRAW_H

#include "tests/wire/fill.h"

#define DRAW_TOPICS 5                   /* topics with these numbers have names */
#define DRAW_LEARNED_MAX 4

/* What answers have told, for later requests. */
struct draw_learned {
    struct rl_uuid topic_ids[DRAW_TOPICS];              /* zero: no such topic now */
    struct { int32_t id, next_epoch; } sessions[DRAW_LEARNED_MAX];
    struct { int64_t id; int16_t epoch; } producers[DRAW_LEARNED_MAX];
    uint32_t session_count, producer_count;             /* ever */
    int64_t wall_ms;                    /* about now */
};

struct draw {
    struct rl_fill fill;                /* of the message that is drawn */
    const uint8_t *data;
    size_t bytes, at;
    bool seeded;                        /* bytes come from `state` now */
    uint64_t state;
    uint32_t depth;                     /* items drawn for this message: arrays end */
    uint32_t session, producer;         /* chosen for this message */
    struct draw_learned learned;
};

/* "a", "b", ... that the draws know. */
extern const char *const draw_topic_names[DRAW_TOPICS];

void draw_init(struct draw *draw, const uint8_t *data, size_t bytes);
static inline bool draw_is_empty(const struct draw *draw)
{
    return draw->at >= draw->bytes;
}
uint8_t draw_byte(struct draw *draw);
/* 0 .. bound-1, out of one byte up to 256, else of four. */
uint32_t draw_below(struct draw *draw, uint32_t bound);
/* A message of this API, from arena (of which the message is the first user). */
void *draw_message(struct draw *draw, const struct rl_fill_message *message, int16_t version,
                   struct rl_arena *arena);

#endif
