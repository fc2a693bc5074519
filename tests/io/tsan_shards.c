/* tests/io/tsan_shards.c — mailboxes, sleeping and waking, helpers, start and stop, for
 * ThreadSanitizer.  A plain program: Criterion forks in ways that tool does not follow.
 *
 *     cmake --preset tsan && ninja -C build/tsan tsan_shards && ctest --test-dir build/tsan -L tsan
 */
#include "core/base.h"
#include "io/backend.h"
#include "storm.h"
#include <stdio.h>

static void storms_over(const struct rl_backend *backend)
{
    static const struct { uint32_t shards, burst, rounds; } storms[] = {
        { 2, 1, 200 },                  /* sleep and wake */
        { 4, 3, 100 },
        { 3, 6000, 4 },                 /* full mailboxes */
        { 4, 500, 20 },
        { 8, 100, 10 },
    };

    for (size_t i = 0; i < RL_ARRAY_COUNT(storms); i++) {
        struct storm_result result;
        storm_run(backend, storms[i].shards, storms[i].burst, storms[i].rounds, &result);
        printf("%s: %u shards, %u messages to each, %u rounds: %lu messages, %lu helped%s\n",
               backend->name, storms[i].shards, storms[i].burst, storms[i].rounds,
               (unsigned long)result.messages,
               (unsigned long)result.helped, result.congested ? ", congested" : "");
        RL_ASSERT(result.ordered && result.helped != 0);
        RL_ASSERT(result.messages == (uint64_t)storms[i].shards * (storms[i].shards - 1) *
                                     storms[i].burst * storms[i].rounds * 2);
    }
}

int main(void)
{
    storms_over(&rl_backend_uring);
    storms_over(&rl_backend_posix);
    return 0;
}
