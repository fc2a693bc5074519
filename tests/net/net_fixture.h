/* tests/net/net_fixture.h — a net on shards in one thread, clients in the same thread.
 *
 * The first byte of a frame says what the handler does:
 *   'e' answers at once with the frame itself
 *   'p' parks the request; the test answers it with fixture_answer (or finishes, closes)
 *   'q' the same, holding 100,000 bytes of its arena; hurried, it answers at once
 *   'f' finishes without an answer
 *   'c' closes the connection
 *   'm' asks the next shard by a message, and answers with the frame when that is back
 *   'b' answers with as many bytes as the next four say, in chunks of 100,000
 *   'l' answers with the same bytes, most of them lent from a file, in pieces of many sizes
 * A reply is checked by what the test expects byte by byte. */
#ifndef RL_TESTS_NET_FIXTURE_H
#define RL_TESTS_NET_FIXTURE_H

#include "mem_backend.h"
#include "net/net.h"
#include <stdio.h>

#define FIXTURE_PARKED_MAX 4096u

struct fixture {
    struct rl_mem *mem;
    struct rl_shard_set *set;
    uint32_t shard_count;
    uint16_t port;
    uint64_t handled;                   /* requests the handler saw */
    uint64_t cancelled;                 /* on_cancel calls */
    uint64_t handled_by_shard[8];
    size_t in_handler_bytes, in_handler_bytes_max;      /* frames unanswered now, at most */
    struct rl_request *parked[FIXTURE_PARKED_MAX];      /* in order of arrival; NULL: gone */
    uint32_t parked_count;
    uint64_t hurried;                   /* on_hurry calls */
    bool cancel_later;                  /* on_cancel only remembers; the test finishes */
    bool draining;
    uint32_t drained;                   /* shards whose drain is done */
    int pattern_file;                   /* its bytes are those of a big reply; 0: not there yet */
    uint32_t leases;                    /* of it, that are out */
    char log[8192];                     /* what was logged */
    size_t log_bytes;
};

/* What tests start from; change and give to fixture_start. */
struct rl_net_options fixture_options(void);
void fixture_start(struct fixture *f, uint32_t shard_count, const struct rl_net_options *options);
/* Step all shards until nothing happens any more. */
void fixture_run(struct fixture *f);
/* Move the clock, then run. */
void fixture_advance(struct fixture *f, int64_t ns);
/* Stop listening, drain all shards; f->drained counts those that are done. */
void fixture_drain(struct fixture *f, int64_t grace_ns);
/* Drain, stop, free; nothing may be left over. */
void fixture_stop(struct fixture *f);
/* Stop as it is and free; connections and requests may be left over. */
void fixture_stop_now(struct fixture *f);
uint32_t fixture_connections(const struct fixture *f);
/* Answer parked request i with its own frame. */
void fixture_answer(struct fixture *f, uint32_t i);
void fixture_finish(struct fixture *f, uint32_t i);
void fixture_close(struct fixture *f, uint32_t i);

/* A growing row of bytes. */
struct bytes {
    uint8_t *data;
    size_t count, capacity;
};
void bytes_append(struct bytes *to, const void *data, size_t count);
void bytes_free(struct bytes *b);
/* Append a frame: size prefix, kind, and size - 1 bytes made from seed. */
void bytes_frame(struct bytes *to, char kind, size_t size, uint32_t seed);
/* Append the frame 'b' that asks for reply_bytes, and the reply it gets. */
void bytes_big_ask(struct bytes *to, uint32_t reply_bytes);
void bytes_big_reply(struct bytes *to, uint32_t reply_bytes);
/* The same with kind 'l'; its reply is that of 'b'. */
void bytes_lent_ask(struct bytes *to, uint32_t reply_bytes);
/* The file that 'l' lends from, up to so many bytes. */
void fixture_make_pattern_file(struct fixture *f, size_t file_bytes);

struct client {
    struct fixture *f;
    struct rl_mem_client *end;
    bool stopped;                       /* does not read */
    struct bytes in;                    /* received so far */
};

struct client client_open(struct fixture *f);
/* Write all, letting the shards run as often as it takes. */
void client_write(struct client *c, const void *data, size_t count);
/* The same, but stop when nothing more is taken; returns how much was. */
size_t client_write_some(struct client *c, const void *data, size_t count);
/* Run the shards and take in what arrives until nothing more does.  False: the broker closed. */
bool client_read(struct client *c);
/* No reply but exactly this has come since the last call. */
bool client_got(struct client *c, const struct bytes *expected);
void client_close(struct client *c);

#endif
