/* tests/broker/protocol/protocol_client.h — one blocking connection that speaks the wire codec.
 *
 * Requests may be written ahead; replies are received in order and checked: correlation id,
 * decodable in the version asked, no byte left over.  A connection that does not answer within
 * its patience fails the test. */
#ifndef RL_TESTS_PROTOCOL_PROTOCOL_CLIENT_H
#define RL_TESTS_PROTOCOL_PROTOCOL_CLIENT_H

#include "broker_process.h"
#include "core/arena.h"
#include "core/slice.h"
#include "wire/api_table.h"

#define CLIENT_PENDING_MAX 4096

struct client_pending {
    int32_t correlation_id;
    int16_t api_key, api_version;       /* version of the reply's layout */
};

struct client {
    int fd;
    int32_t correlation_id;
    struct client_pending pending[CLIENT_PENDING_MAX];
    uint32_t pending_head, pending_tail;
    struct rl_arena arena;              /* of the last reply */
    uint8_t *frame;                     /* the last reply, without its size */
    size_t frame_bytes;
};

/* A connection to the broker. */
struct client *client_open(const struct broker *b);
void client_close(struct client *c);

/* Bytes as they are; false when the peer has closed. */
bool client_write(struct client *c, const void *bytes, size_t count);
/* Read up to count bytes: how many came before the peer closed. */
size_t client_read(struct client *c, void *bytes, size_t count);

/* The frame of a request, size included; free() it. */
uint8_t *client_encode(struct client *c, int16_t api_key, int16_t version, const void *message,
                       size_t *ret_bytes);
/* Send, and note that a reply is due. */
void client_send(struct client *c, int16_t api_key, int16_t version, const void *message);
/* Send what is not answered: Produce with acks=0. */
void client_send_silent(struct client *c, int16_t api_key, int16_t version, const void *message);
/* Note a reply that is due for the frame just written by hand. */
void client_expect(struct client *c, int16_t api_key, int16_t version);
/* The decoded reply of the oldest request that is due, valid until the next one; NULL when the
 * connection was closed. */
const void *client_receive_or_close(struct client *c);
/* The same; closing fails the test. */
const void *client_receive(struct client *c);
const void *client_call(struct client *c, int16_t api_key, int16_t version, const void *message);
/* The peer closes without another byte. */
void client_expect_closed(struct client *c);

/* Monotonic milliseconds. */
int64_t now_ms(void);
/* Milliseconds since 1970. */
int64_t wall_ms(void);

#endif
