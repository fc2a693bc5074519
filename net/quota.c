/* net/quota.c — how many connections there may be, of whom, and how fast they may come.
 *
 * Rate: a bucket that holds a second's worth of time.  Each socket costs the second divided by the
 * rate; while the bucket is in debt nothing is accepted, and the kernel's queue holds who comes.
 * Failures: an override that is no literal address counts for nobody; the configuration refuses it
 * before it comes here. */
#include "net/quota.h"
#include "core/memory.h"
#include "io/socket.h"
#include <stdlib.h>
#include <string.h>

#define SECOND_NS ((int64_t)1000 * 1000 * 1000)

struct rl_quota_peer {
    uint32_t count;
    char host[RL_ADDRESS_BYTES];
};

struct quota_override {
    uint32_t limit;
    char host[RL_ADDRESS_BYTES];
};

static void quota_free_overrides(struct rl_quota *quota)
{
    uint32_t at = 0;
    struct quota_override *override;

    while ((override = rl_table_next(&quota->overrides, &at)) != NULL)
        rl_free(override);
    rl_table_done(&quota->overrides);
}

/* One "address:limit", maybe with brackets around the address. */
static void quota_add_override(struct rl_quota *quota, struct rl_slice element)
{
    char text[RL_ADDRESS_BYTES + 16];
    struct quota_override *override, *before;

    while (element.bytes > 0 && element.data[0] == ' ')
        element = rl_slice_of(element.data + 1, element.bytes - 1);
    if (element.bytes >= sizeof text)
        return;
    if (element.bytes > 0)
        memcpy(text, element.data, element.bytes);
    text[element.bytes] = '\0';
    char *colon = strrchr(text, ':');
    if (colon == NULL)
        return;
    *colon = '\0';
    char *address = text;
    if (address[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        address++;
    }
    override = rl_alloc(sizeof *override);
    override->limit = (uint32_t)strtoul(colon + 1, NULL, 10);
    if (!rl_address_canonical(address, override->host)) {
        rl_free(override);
        return;
    }
    before = rl_table_put(&quota->overrides, rl_slice_of_string(override->host), override);
    rl_free(before);
}

void rl_quota_set(struct rl_quota *quota, const struct rl_connection_limits *limits)
{
    uint64_t seed = quota->overrides.seed;
    const char *at = limits->address_overrides;

    quota->limits = *limits;
    quota->limits.address_overrides = NULL;
    quota_free_overrides(quota);
    rl_table_init(&quota->overrides, seed);
    while (at != NULL && *at != '\0') {
        size_t bytes = strcspn(at, ",");
        quota_add_override(quota, rl_slice_of((const uint8_t *)at, bytes));
        at += bytes + (at[bytes] == ',');
    }
}

void rl_quota_init(struct rl_quota *quota, const struct rl_connection_limits *limits, uint64_t seed)
{
    *quota = (struct rl_quota){ .credit_at_ns = -1 };
    rl_table_init(&quota->overrides, seed);
    rl_table_init(&quota->peers, seed);
    rl_quota_set(quota, limits);
}

void rl_quota_done(struct rl_quota *quota)
{
    uint32_t at = 0;
    struct rl_quota_peer *peer;

    while ((peer = rl_table_next(&quota->peers, &at)) != NULL)
        rl_free(peer);
    rl_table_done(&quota->peers);
    quota_free_overrides(quota);
}

uint32_t rl_quota_address_max(const struct rl_quota *quota, const char *host)
{
    const struct quota_override *override = rl_table_find(&quota->overrides, rl_slice_of_string(host));

    return override != NULL ? override->limit : quota->limits.per_address_max;
}

enum rl_quota_answer rl_quota_take(struct rl_quota *quota, const char *host,
                                   struct rl_quota_peer **ret_peer)
{
    struct rl_quota_peer *peer = rl_table_find(&quota->peers, rl_slice_of_string(host));

    if (quota->count >= quota->limits.total_max)
        return RL_QUOTA_TOO_MANY;
    if ((peer != NULL ? peer->count : 0) >= rl_quota_address_max(quota, host))
        return RL_QUOTA_TOO_MANY_OF_ADDRESS;
    if (peer == NULL) {
        size_t bytes = RL_MIN(strlen(host), sizeof peer->host - 1);
        peer = rl_alloc_zero(1, sizeof *peer);
        memcpy(peer->host, host, bytes);
        rl_table_put(&quota->peers, rl_slice_of_string(peer->host), peer);
    }
    peer->count++;
    quota->count++;
    *ret_peer = peer;
    return RL_QUOTA_GRANTED;
}

void rl_quota_give(struct rl_quota *quota, struct rl_quota_peer *peer)
{
    RL_ASSERT(quota->count > 0 && peer->count > 0);
    quota->count--;
    if (--peer->count != 0)
        return;
    rl_table_remove(&quota->peers, rl_slice_of_string(peer->host));
    rl_free(peer);
}

int64_t rl_quota_accepted(struct rl_quota *quota, int64_t now_ns)
{
    /* Of a rate of 0 nothing comes of itself: one a second, so that a broker can still be told. */
    int64_t cost_ns = SECOND_NS / RL_MAX((int64_t)quota->limits.per_second_max, 1);

    if (quota->credit_at_ns < 0)
        quota->credit_ns = SECOND_NS;
    else
        quota->credit_ns = RL_MIN(quota->credit_ns + (now_ns - quota->credit_at_ns), SECOND_NS);
    quota->credit_at_ns = now_ns;
    quota->credit_ns -= cost_ns;
    return quota->credit_ns < 0 ? -quota->credit_ns : 0;
}
