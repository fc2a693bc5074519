/* tests/fuzz/fuzz_requests.c — libFuzzer over sequences of requests to the whole broker.
 *
 * Input: the number of shards, then steps until the bytes end.  A step is a byte that says what, a
 * byte that says on which of four connections, and what draw.c takes for it.  Happy path: whatever
 * was sent, the judge (peer.c) finds each answer right, and at the end the broker gives back what it
 * took for connections and serves a guest (whole.c).  Failures abort. */
#include "core/memory.h"
#include "log/log_bytes.h"
#include "tests/fuzz/whole.h"
#include "tests/sim/sim.h"
#include "wire/api_table.h"
#include "broker/dispatch.h"
#include "wire/message_header.h"
#include "wire/msg_create_partitions.h"
#include "wire/msg_create_topics.h"
#include <stdio.h>

#define STEPS_MAX 120
#define FAULTS_MAX 12
#define PARTITIONS_DEAR 64              /* a topic with more takes the time of many runs */
#define SIZE_BYTES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* ---- frames ---- */

static const struct rl_fill_message *find_request(int16_t key)
{
    for (size_t i = 0; i < rl_fill_messages_count; i++)
        if (rl_fill_messages[i].key == key && strcmp(rl_fill_messages[i].side, "request") == 0)
            return &rl_fill_messages[i];
    return NULL;
}

/* Half of all requests are those that most clients send. */
static const struct rl_api_row *draw_row(struct draw *draw)
{
    static const int16_t common[] = { RL_API_PRODUCE, RL_API_PRODUCE, RL_API_FETCH, RL_API_FETCH,
                                      RL_API_FETCH, RL_API_CREATE_TOPICS, RL_API_METADATA,
                                      RL_API_INIT_PRODUCER_ID };
    uint32_t count, choice = draw_byte(draw);
    const struct rl_api_row *rows = rl_api_rows(&count);

    if (choice >= 128)
        return &rows[(choice - 128) % count];
    for (uint32_t i = 0; i < count; i++)
        if (rows[i].key == common[choice % RL_ARRAY_COUNT(common)])
            return &rows[i];
    return &rows[0];
}

static struct rl_slice draw_frame(struct whole *w)
{
    const struct rl_api_row *row = draw_row(&w->draw);
    uint32_t versions = (uint32_t)(row->announced_max - row->served_min + 1);
    int16_t version = (int16_t)(row->served_min + (int16_t)(draw_byte(&w->draw) % versions));

    rl_arena_reset(&w->arena);
    const void *message = draw_message(&w->draw, find_request(row->key), version, &w->arena);
    return peer_frame(&w->frame, row->key, version, ++w->correlation_id,
                      rl_slice_of_string("fuzz"), message);
}

/* It asks for so many partitions that the fuzzer would do nothing else. */
static bool is_dear(struct whole *w, struct rl_slice frame)
{
    struct expected e = peer_judge_frame(&w->arena, frame);
    struct rl_reader r = rl_rd_of(frame);
    struct rl_request_header header;
    bool dear = false;

    if (e.kind != EXPECT_ANSWER || (e.key != RL_API_CREATE_TOPICS && e.key != RL_API_CREATE_PARTITIONS))
        return false;
    RL_ASSERT(rl_request_header_read(&r, &header) == RL_OK);
    if (e.key == RL_API_CREATE_TOPICS) {
        struct rl_create_topics_request message;
        RL_ASSERT(rl_create_topics_request_decode(&r, e.version, &w->arena, &message) == RL_OK);
        for (int32_t i = 0; i < message.topics_count; i++)
            dear |= message.topics[i].num_partitions > PARTITIONS_DEAR;
    } else {
        struct rl_create_partitions_request message;
        RL_ASSERT(rl_create_partitions_request_decode(&r, e.version, &w->arena, &message) == RL_OK);
        for (int32_t i = 0; i < message.topics_count; i++)
            dear |= message.topics[i].count > PARTITIONS_DEAR;
    }
    return dear;
}

/* The frame last drawn, as it is, flipped, cut, or with another size. */
static void send_frame(struct whole *w, struct peer *peer, uint8_t how)
{
    uint8_t *data = w->frame.data;
    size_t bytes = w->frame.end;

    if (bytes == 0)
        return;
    if (how % 4 == 1 && draw_byte(&w->draw) % 4 == 0) {         /* another version, or another API */
        rl_put_u16(data + (draw_byte(&w->draw) % 4 == 0 ? 4 : 6), draw_byte(&w->draw) % 80);
    } else if (how % 4 == 1) {
        for (uint32_t n = 1 + draw_byte(&w->draw) % 4; n > 0; n--) {
            size_t at = draw_below(&w->draw, (uint32_t)RL_MIN(bytes, 256));
            data[at] ^= (uint8_t)(1u << draw_byte(&w->draw) % 8);
        }
    } else if (how % 4 == 2) {          /* the size says more or less than is there */
        rl_put_u32(data, rl_get_u32(data) + draw_byte(&w->draw) - 128u);
    } else if (how % 4 == 3) {          /* right size, the end is missing, or something behind it */
        uint8_t more[64] = { 0 };
        size_t count = draw_byte(&w->draw) % sizeof more;
        if (count % 2 == 0)
            bytes_append(&w->frame, more, count);
        bytes = count % 2 == 0 ? bytes + count : bytes - RL_MIN(count, bytes - SIZE_BYTES - 1);
        rl_put_u32(w->frame.data, (uint32_t)(bytes - SIZE_BYTES));
    }
    if (!is_dear(w, rl_slice_of(w->frame.data + SIZE_BYTES, bytes - SIZE_BYTES)))
        peer_send(peer, w->frame.data, bytes);
}

static void send_request(struct whole *w, struct peer *peer)
{
    struct rl_slice frame = draw_frame(w);

    if (!is_dear(w, rl_slice_of(frame.data + SIZE_BYTES, frame.bytes - SIZE_BYTES)))
        peer_send(peer, frame.data, frame.bytes);
}

static void send_anything(struct whole *w, struct peer *peer)
{
    uint8_t bytes[64];
    size_t count = draw_byte(&w->draw) % sizeof bytes;

    for (size_t i = 0; i < count; i++)
        bytes[i] = draw_byte(&w->draw);
    peer_send(peer, bytes, count);
}

/* ---- the world around ---- */

static void fail_disk(struct whole *w, uint32_t *faults)
{
    static const rl_status statuses[] = { RL_EIO, RL_ENOSPACE, RL_EIO, RL_EMFILE };
    uint8_t kind = draw_byte(&w->draw), after = draw_byte(&w->draw) % 8;

    w->faulty = true;
    if (kind >= 200)
        rl_mem_disk_set_capacity(w->disk, kind >= 230 ? UINT64_MAX / 2 : rl_mem_disk_used(w->disk) + 100u * after);
    else if (kind >= 180)
        rl_mem_disk_set_resident(w->disk, kind >= 190);
    else if ((*faults)++ < FAULTS_MAX)
        rl_mem_disk_fail(w->disk, (enum rl_mem_call)(kind % RL_MEM_CALLS), after, statuses[kind / 16 % 4]);
}

static void pass_time(struct whole *w)
{
    static const int64_t times_ms[] = { 1, 1, 10, 100, 500, 1000, 5000, 31000, 121000, 3600000 };

    whole_advance(w, times_ms[draw_byte(&w->draw) % RL_ARRAY_COUNT(times_ms)] * 1000000);
}

static void change_network(struct whole *w, struct peer *peer)
{
    static const size_t sizes[] = { 1, 3, 100, 0, 5000 };
    uint8_t choice = draw_byte(&w->draw);

    if (choice % 3 == 0)
        peer->crumb_bytes = sizes[choice / 3 % RL_ARRAY_COUNT(sizes)];
    else if (choice % 3 == 1)
        rl_mem_set_window(w->mem, 256u << choice / 3 % 9);
    else
        rl_mem_set_receive_max(w->mem, 1u << choice / 3 % 16);
}

static void end_connection(struct whole *w, struct peer *peer)
{
    uint8_t choice = draw_byte(&w->draw);

    if (peer->client == NULL)
        return;
    if (choice % 3 == 0)
        peer_half_close(peer);
    else
        peer_close(peer, choice % 3 == 1);
}

/* ---- steps ---- */

static void step(struct whole *w, uint32_t *faults)
{
    uint8_t what = draw_byte(&w->draw), who = draw_byte(&w->draw);
    struct peer *peer = &w->peers[who % WHOLE_PEERS];

    if (peer->client == NULL && what < 200 && !peer_open(peer, w->mem))
        return;
    if (what < 110) {
        send_request(w, peer);
    } else if (what < 140) {
        draw_frame(w);
        send_frame(w, peer, what < 130 ? what : 0);
    } else if (what < 150) {
        send_frame(w, peer, 0);         /* the same again */
    } else if (what < 155) {
        send_anything(w, peer);
    } else if (what < 165) {
        change_network(w, peer);
    } else if (what < 175) {
        peer->deaf = !peer->deaf;
    } else if (what < 185) {
        end_connection(w, peer);
    } else if (what < 225) {
        pass_time(w);
    } else if (what < 235) {
        fail_disk(w, faults);
    } else if (what < 240) {
        whole_restart(w, (enum whole_end)(who % 3), 1 + who / 3 % 4);
        *faults = 0;
        whole_learn_topics(w);
    } else {
        whole_learn_topics(w);
    }
    /* Much of it is sent at once, or in the middle of what is under way. */
    if (who >= 192)
        whole_turn(w);
    else if (who >= 64)
        whole_settle(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct whole *w = whole_create(data, bytes);
    uint32_t faults = 0;

    for (uint32_t i = 0; i < STEPS_MAX && !draw_is_empty(&w->draw); i++)
        step(w, &faults);
    whole_finish(w);
    whole_free(w);
    return 0;
}
