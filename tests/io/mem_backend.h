/* tests/io/mem_backend.h — a kernel in memory: disk, network and clock for unit tests.
 *
 * Everything runs on the calling thread, one turn at a time (rl_shard_step, rl_mem_settle), and
 * the same calls give the same run: nothing depends on time, addresses or threads.
 *
 *     struct rl_mem *mem = rl_mem_create(1);
 *     struct rl_shard_set_options options = { .shard_count = 2, .backend = &rl_backend_mem,
 *                                             .disk = rl_mem_disk(mem) };
 *     rl_shard_set_create(&options, &set);
 *     rl_shard_set_start_stepped(set, start, arg);
 *     struct rl_mem_client *client = rl_mem_connect(mem, 9092);
 *     rl_mem_client_send(client, request, bytes);
 *     rl_mem_settle(set);
 *     rl_mem_client_receive(client, reply, sizeof reply);
 *     rl_shard_set_stop(set); rl_shard_set_join(set, finish, arg); rl_shard_set_free(set);
 *     rl_mem_free(mem);
 *
 * A SYNC or JOB runs when its shard is stepped, in the order of submission, unless helpers are
 * held.  A socket moves at most one piece per turn. */
#ifndef RL_TESTS_IO_MEM_BACKEND_H
#define RL_TESTS_IO_MEM_BACKEND_H

#include "core/random.h"
#include "io/backend.h"
#include "io/disk.h"
#include "io/shard.h"

struct rl_mem;
struct rl_mem_client;

extern const struct rl_backend rl_backend_mem;

/* The world: one network, one clock, one disk to begin with.  The clock begins at one second
 * (monotonic) and at 2026-11-22T12:00:00Z (wall). */
struct rl_mem *rl_mem_create(uint64_t seed);
/* After rl_shard_set_free.  Everything left is freed, clients too. */
void rl_mem_free(struct rl_mem *mem);
/* The first disk.  The shards of a set belong to the world of their disk. */
struct rl_disk *rl_mem_disk(struct rl_mem *mem);
/* One more disk, for one more broker of the same world. */
struct rl_disk *rl_mem_add_disk(struct rl_mem *mem);

/* ---- time and turns ---- */
void rl_mem_set_clock(struct rl_mem *mem, int64_t now_ns, int64_t wall_ms);
void rl_mem_advance(struct rl_mem *mem, int64_t ns);
int64_t rl_mem_now_ns(const struct rl_mem *mem);
/* Step all shards in turn until none does anything; panics if that does not end. */
void rl_mem_settle(struct rl_shard_set *set);
/* While held, SYNC and JOB stay in flight. */
void rl_mem_hold_helpers(struct rl_mem *mem, bool hold);
/* Run the oldest of them; it completes when its shard is stepped.  False: there is none. */
bool rl_mem_run_helper(struct rl_mem *mem);
/* Run the one with nth older than it. */
bool rl_mem_run_helper_at(struct rl_mem *mem, uint32_t nth);
/* SYNC and JOB in flight that did not run yet. */
uint32_t rl_mem_helpers_waiting(const struct rl_mem *mem);
/* The process was killed, at any place, also within a call of its disk: nothing in flight goes on,
 * its connections are reset, its listeners gone.  (rl_mem_disk_kill or a crash closes its files.)
 * The memory of the set is the caller's trouble.  set NULL: not yet there. */
void rl_mem_abandon(struct rl_mem *mem, struct rl_shard_set *set);

/* ---- disk: what it keeps, and how it fails ---- */
enum rl_mem_call {
    RL_MEM_OPEN, RL_MEM_READ, RL_MEM_WRITE, RL_MEM_SYNC, RL_MEM_TRUNCATE, RL_MEM_ALLOCATE,
    RL_MEM_SIZE, RL_MEM_RENAME, RL_MEM_UNLINK, RL_MEM_MAKE_DIRECTORY, RL_MEM_REMOVE_DIRECTORY,
    RL_MEM_SYNC_DIRECTORY, RL_MEM_LIST, RL_MEM_LOCK, RL_MEM_READ_DEVICE,
    RL_MEM_ANY,                         /* every one of them */
    RL_MEM_CALLS
};

/* Power cut: files lose what was not synced, directories forget names that were not synced,
 * descriptors are closed.  rl_disk_identity changes. */
void rl_mem_disk_crash(struct rl_disk *disk);
/* Power cut of a device with a cache: of what was not synced each sector of 512 bytes, each size and
 * each name is there or not, as random says; of a renamed file one of its names.  keep_percent: how
 * likely it is there; 0 leaves what rl_mem_disk_crash leaves.  ret_torn (NULL: not asked): files that
 * kept some of their sectors, not all. */
void rl_mem_disk_crash_torn(struct rl_disk *disk, struct rl_random *random, uint32_t keep_percent,
                            uint32_t *ret_torn);
/* Make `to`, which was never used, the same as `from`, open files apart. */
void rl_mem_disk_copy(struct rl_disk *to, const struct rl_disk *from);
/* The process was killed: descriptors and locks are gone, written data stays. */
void rl_mem_disk_kill(struct rl_disk *disk);
/* The call number `after` from now (0: the next) of this kind fails with status, once.  A failed
 * SYNC loses what it should have kept: a later one does not bring it back. */
void rl_mem_disk_fail(struct rl_disk *disk, enum rl_mem_call call, uint32_t after, rl_status status);
/* The write number `after` from now stores only its first `bytes` bytes and fails. */
void rl_mem_disk_fail_write(struct rl_disk *disk, uint32_t after, size_t bytes, rl_status status);
/* The sync number `after` from now keeps only the first `bytes` bytes of what was not synced. */
void rl_mem_disk_fail_sync(struct rl_disk *disk, uint32_t after, size_t bytes, rl_status status);
/* This disk cannot sync everything by one call. */
void rl_mem_disk_no_sync_all(struct rl_disk *disk);
/* No failure waits any more. */
void rl_mem_disk_heal(struct rl_disk *disk);
/* Calls so far. */
uint64_t rl_mem_disk_calls(const struct rl_disk *disk, enum rl_mem_call call);
/* Bytes the files may have together; a write beyond is cut short with RL_ENOSPACE. */
void rl_mem_disk_set_capacity(struct rl_disk *disk, uint64_t bytes);
/* Bytes the files have together now. */
uint64_t rl_mem_disk_used(const struct rl_disk *disk);
/* false: rl_disk_try_read always says RL_EBUSY. */
void rl_mem_disk_set_resident(struct rl_disk *disk, bool resident);
/* Descriptors open now. */
uint32_t rl_mem_disk_open_count(const struct rl_disk *disk);

/* ---- network: the test is the client ---- */
/* NULL when nobody listens on the port. */
struct rl_mem_client *rl_mem_connect(struct rl_mem *mem, uint16_t port);
/* Returns how many bytes there was room for. */
size_t rl_mem_client_send(struct rl_mem_client *client, const void *data, size_t bytes);
/* Returns how many bytes there were. */
size_t rl_mem_client_receive(struct rl_mem_client *client, void *buffer, size_t bytes);
/* Bytes that rl_mem_client_receive would give now. */
size_t rl_mem_client_readable(const struct rl_mem_client *client);
/* The other end has closed or shut down, and everything it sent has been received. */
bool rl_mem_client_ended(const struct rl_mem_client *client);
/* Send no more, go on receiving (shutdown(SHUT_WR)). */
void rl_mem_client_end(struct rl_mem_client *client);
/* Close; what was sent is still received by the other end.  Frees client. */
void rl_mem_client_close(struct rl_mem_client *client);
/* Cut the connection: the other end's operations fail with RL_EIO.  Frees client. */
void rl_mem_client_reset(struct rl_mem_client *client);
/* Bytes each direction of later connections holds before its sender waits (64 KiB at first). */
void rl_mem_set_window(struct rl_mem *mem, size_t bytes);
/* Most bytes one RECEIVE event brings (32 KiB at first): 1 makes every frame arrive in crumbs. */
void rl_mem_set_receive_max(struct rl_mem *mem, size_t bytes);
/* Sockets open now at the shards' end, listeners too. */
uint32_t rl_mem_socket_count(const struct rl_mem *mem);

#endif
