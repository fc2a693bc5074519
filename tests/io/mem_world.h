/* tests/io/mem_world.h — what the files of the kernel in memory share. */
#ifndef RL_TESTS_IO_MEM_WORLD_H
#define RL_TESTS_IO_MEM_WORLD_H

#include "core/list.h"
#include "core/random.h"
#include "mem_backend.h"

#define MEM_RECEIVE_BYTES (32u * 1024u)

/* One direction of a connection: a ring of bytes. */
struct mem_pipe {
    uint8_t *data;
    size_t capacity, head, bytes;
    bool ended;                         /* the writer sends no more */
    bool deaf;                          /* the reader is gone */
};

struct mem_connection {
    struct rl_list node;                /* while it waits for accept */
    struct mem_pipe to[2];              /* [0]: towards who connected, [1]: who accepted */
    bool reset;
    uint32_t ends;                      /* ends not yet closed */
    uint16_t port[2];
};

struct mem_socket {
    int fd;
    uint16_t port;                      /* listener's */
    bool listener, shut;
    struct rl_list node;                /* listener: in mem->listeners */
    struct rl_list pending;             /* listener: connections to accept */
    struct mem_connection *connection;
    int side;                           /* which end of connection we are */
};

struct rl_mem_client {
    struct rl_list node;
    struct rl_mem *mem;
    struct mem_connection *connection;
};

struct mem_disk;

struct rl_mem {
    int64_t now_ns, wall_ms;
    struct rl_random random;
    struct rl_list disks, clients;
    /* sockets by fd; numbers are never used again, so a stale one is noticed */
    struct mem_socket **sockets;        /* NULL: closed */
    uint32_t socket_capacity, socket_count;
    struct rl_list listeners;
    int fd_next;
    uint16_t port_next;
    size_t window_bytes, receive_max;
    uint8_t lend[MEM_RECEIVE_BYTES];
    /* SYNC and JOB, oldest first, linked by op->next */
    struct rl_op *helper_first, *helper_last;
    bool helpers_held;
};

struct rl_mem *mem_of_disk(struct rl_disk *disk);
struct rl_mem *mem_of(struct rl_shard *shard);
struct rl_disk *mem_disk_create(struct rl_mem *mem, struct rl_list *disks);
void mem_disk_free_all(struct rl_list *disks);

/* sockets; mem_net.c */
void mem_net_init(struct rl_mem *mem);
void mem_net_done(struct rl_mem *mem);
/* Every socket of every shard; reset: the other ends see an error, not an end. */
void mem_net_close_all(struct rl_mem *mem, bool reset);
rl_status mem_net_listen(struct rl_shard *shard, const char *host, uint16_t port, int backlog,
                         int *ret_fd, uint16_t *ret_port);
void mem_net_shutdown(struct rl_shard *shard, int fd);
void mem_net_close(struct rl_shard *shard, int fd);
void mem_net_address(struct rl_shard *shard, int fd, bool peer, char *host, size_t host_bytes,
                     uint16_t *ret_port);
/* Move op on.  True: it has an event or has ended (op->more tells); status and ret_ are set. */
bool mem_net_progress(struct rl_mem *mem, struct rl_op *op);

#endif
