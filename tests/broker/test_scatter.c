/* tests/broker/test_scatter.c — a scatter whose calls wait, ended by the first that is finished.
 *
 * The own call ends at once and has the others cancelled while the scatter is still starting. */
#include "broker/scatter.h"
#include "net_fixture.h"
#include <criterion/criterion.h>

enum { SHARDS = 4 };

static struct fixture f;
static struct rl_scatter_item items[SHARDS];
static uint32_t ran[SHARDS], cancelled[SHARDS], returned, done;
static uint32_t ends_at_once;           /* the shard whose call does not wait */

static void on_run(struct rl_scatter_call *call)
{
    uint32_t index = call->owner->index;

    cr_assert_eq(rl_self, call->owner);
    cr_assert_eq(call->items, &items[index]);
    ran[index]++;
    if (index == ends_at_once)
        rl_scatter_call_done(call);
}

static void on_cancel(struct rl_scatter_call *call)
{
    cr_assert_eq(rl_self, call->owner);
    cr_assert_eq(ran[call->owner->index], 1, "a cancel arrives behind its call");
    cancelled[call->owner->index]++;
    rl_scatter_call_done(call);
}

static void on_returned(struct rl_scatter *scatter)
{
    cr_assert_eq(rl_self, rl_connection_shard(scatter->request->connection));
    returned++;
    rl_scatter_cancel(scatter);
}

static void on_done(struct rl_scatter *scatter)
{
    cr_assert_eq(rl_self, rl_connection_shard(scatter->request->connection));
    done++;
}

/* One request with a call to every shard, added in turn from `first` on. */
static void one_ends_the_others(struct rl_request *request, uint32_t first)
{
    struct rl_scatter scatter;

    returned = done = 0;
    rl_self = rl_connection_shard(request->connection);
    rl_scatter_init(&scatter, request, on_run, on_done);
    scatter.returned = on_returned;
    scatter.cancel = on_cancel;
    for (uint32_t i = 0; i < SHARDS; i++) {
        uint32_t owner = (first + i) % SHARDS;
        ran[owner] = cancelled[owner] = 0;
        cr_assert_eq(rl_scatter_add(&scatter, owner, &items[owner]), RL_OK);
    }
    rl_scatter_start(&scatter);
    rl_self = NULL;
    fixture_run(&f);
    cr_assert_eq(done, 1);
    cr_assert_eq(returned, SHARDS);
    for (uint32_t i = 0; i < SHARDS; i++) {
        cr_assert_eq(ran[i], 1);
        cr_assert_eq(cancelled[i], i != ends_at_once);
    }
}

Test(scatter, the_first_that_is_finished_ends_the_others)
{
    struct rl_net_options options = fixture_options();
    struct bytes out = { 0 };
    uint32_t i = 0;

    fixture_start(&f, SHARDS, &options);
    struct client c = client_open(&f);
    bytes_frame(&out, 'p', 20, 1);
    for (ends_at_once = 0; ends_at_once < SHARDS; ends_at_once++) {
        for (uint32_t first = 0; first < SHARDS; first++, i++) {
            client_write(&c, out.data, out.count);
            fixture_run(&f);
            one_ends_the_others(f.parked[i], first);
            fixture_finish(&f, i);
        }
    }
    client_close(&c);
    fixture_stop(&f);
    bytes_free(&out);
}
