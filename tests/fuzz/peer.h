/* tests/fuzz/peer.h — one connection to the broker, and the judge of everything that it answers.
 *
 * The judge reads the same bytes that the broker gets, whoever made them: it cuts them into frames,
 * decodes each, and so knows what must come back.  A request that is whole and well-formed gets
 * exactly one answer, in order, with its correlation id, which our codec reads to the last byte.
 * A connection ends only for a reason: a frame that is none, an API or version that is not served,
 * a body that cannot be decoded, an error of acks=0, or an end that this side has made. */
#ifndef RL_TESTS_FUZZ_PEER_H
#define RL_TESTS_FUZZ_PEER_H

#include "core/arena.h"
#include "mem_backend.h"

enum expect_kind {
    EXPECT_ANSWER,
    EXPECT_SILENCE,                     /* acks=0: nothing, or the end */
    EXPECT_END,                         /* the end, once all before it is answered */
    EXPECT_END_NOW,                     /* the end, whatever is not answered yet */
};

struct expected {
    enum expect_kind kind;
    int16_t key, version, answer_version;
    int32_t correlation_id;
};

struct bytes {
    uint8_t *data;
    size_t at, end, capacity;           /* data[at, end) */
};

/* An answer has come; valid until it returns. */
typedef void peer_answer_fn(void *arg, const struct expected *to, const void *answer);

struct peer {
    struct rl_mem_client *client;       /* NULL: not connected */
    struct bytes out;                   /* not sent yet */
    struct bytes sent;                  /* sent, not cut into frames yet */
    struct bytes in;                    /* received, not judged yet */
    struct expected *queue;
    size_t queue_at, queue_count, queue_capacity;
    bool hopeless;                      /* nothing behind what was sent is looked at */
    bool half_closed;
    bool deaf;                          /* reads nothing now */
    size_t crumb_bytes;                 /* moved at once in each direction; 0: all */
    struct rl_arena arena;
    peer_answer_fn *on_answer;
    void *arg;
};

/* Largest frame that the broker takes. */
#define PEER_FRAME_BYTES_MAX ((size_t)1 << 20)

void peer_init(struct peer *peer, peer_answer_fn *on_answer, void *arg);
void peer_done(struct peer *peer);
/* False: nobody listens. */
bool peer_open(struct peer *peer, struct rl_mem *mem);
/* The connection is gone, and so is all that was expected. */
void peer_close(struct peer *peer, bool reset);
void peer_half_close(struct peer *peer);
void peer_send(struct peer *peer, const void *data, size_t bytes);
/* A message with its size and header; the frame, which the peer's next call may move. */
struct rl_slice peer_frame(struct bytes *frame, int16_t key, int16_t version, int32_t correlation_id,
                           struct rl_slice client_id, const void *message);
void bytes_append(struct bytes *bytes, const void *data, size_t count);
void bytes_done(struct bytes *bytes);
/* What becomes of this frame (without its size). */
struct expected peer_judge_frame(struct rl_arena *arena, struct rl_slice frame);
/* Move bytes; false: there was nothing to move.  ending: the broker stops, it may close now. */
bool peer_move(struct peer *peer, bool ending);
/* An answer must come. */
bool peer_waits(const struct peer *peer);

/* Something is wrong. */
noreturn void fuzz_fail(const char *format, ...) RL_PRINTF(1, 2);

#endif
