/* log/scrub.c — in the background everything is read and checked, some bytes a second.
 *
 * Happy path: a timer starts a job that reads the next megabyte of a segment around the page cache
 * (what is served often stays there, what is read once does not push it out) and checks every batch
 * in it; the next timer comes when the budget allows for it.  The log at the front of the list is
 * the one to look at; when it is done it goes to the back, and one that was there already ends the
 * round.
 * Failures: damage is noted (damage.c) and stepped over, by the batch's own length where a sound
 * batch follows, else to the next entry of the index, else the rest of the segment is left out. */
#include "log/scrub.h"
#include "core/logger.h"
#include "core/memory.h"
#include "log/damage.h"
#include "log/log_internal.h"
#include <inttypes.h>

#define FIRST_ROUND_NS ((int64_t)60 * 1000000000)
#define REST_NS ((int64_t)7 * 86400 * 1000000000)
#define STEP_BYTES (1u << 20)
#define FOUND_MAX 16
#define SKIPPED_MAX 256                 /* logs with nothing to do, in one turn */

struct found {
    uint32_t pos;
    int64_t offset;
    const char *what;
};

struct rl_scrub {
    struct rl_log_manager *manager;
    struct rl_timer timer;
    uint64_t bytes_per_second;
    uint32_t round;
    uint64_t round_bytes;
    /* where it goes on */
    struct rl_log *log;                 /* NULL: with the next one */
    int64_t end_offset;                 /* it began with so much; what comes meanwhile is not chased */
    int64_t segment_base;
    bool segment_done;
    uint32_t pos;
    int64_t next_offset;
    /* the job */
    struct rl_op op;
    bool busy;
    struct rl_log *job_log;
    char path[RL_PATH_BYTES], index_path[RL_PATH_BYTES];
    uint32_t index_entries;
    uint32_t end_pos;
    uint64_t read_bytes;
    struct found found[FOUND_MAX];
    uint32_t found_count;
};

/* ---- on a helper ---- */

struct piece {
    uint8_t *data;
    uint32_t pos;
    size_t bytes;
};

static void note(struct rl_scrub *scrub, const char *what)
{
    if (scrub->found_count < FOUND_MAX)
        scrub->found[scrub->found_count++] = (struct found){ scrub->pos, scrub->next_offset, what };
}

static rl_status load(struct rl_scrub *scrub, int fd, struct piece *piece, size_t bytes)
{
    size_t got = 0;

    bytes = RL_MIN(bytes, (size_t)(scrub->end_pos - scrub->pos));
    if (bytes > STEP_BYTES)
        piece->data = rl_realloc(piece->data, bytes);
    rl_status status = rl_disk_read_device(scrub->manager->shard->disk, fd, scrub->pos, piece->data,
                                           bytes, &got);
    if (status == RL_OK && got < bytes)
        status = RL_EIO;
    piece->pos = scrub->pos;
    piece->bytes = status == RL_OK ? got : 0;
    scrub->read_bytes += piece->bytes;
    return status;
}

static bool is_sound(const struct rl_batch *batch, int64_t offset_min)
{
    return batch->base_offset >= offset_min && rl_batch_check(batch) == RL_OK;
}

/* Behind the damage at scrub->pos; false: there is no way to tell where a batch begins. */
static bool step_over(struct rl_scrub *scrub, const struct piece *piece, const struct rl_batch *damaged)
{
    struct rl_batch next;
    size_t at = scrub->pos - piece->pos;
    int64_t last_offset;

    if (damaged != NULL && at + damaged->size_bytes < piece->bytes &&
        rl_batch_read_header(piece->data + at + damaged->size_bytes,
                             piece->bytes - at - damaged->size_bytes, &next) == RL_OK &&
        is_sound(&next, scrub->next_offset + 1)) {
        scrub->pos += (uint32_t)damaged->size_bytes;
        scrub->next_offset = next.base_offset;
        return true;
    }
    if (rl_damage_next_entry(scrub->manager->shard->disk, scrub->index_path, scrub->index_entries,
                             scrub->segment_base, scrub->pos, &scrub->pos, &last_offset) != RL_OK)
        return false;
    scrub->next_offset = -1;            /* what begins there says it */
    return scrub->pos < scrub->end_pos;
}

/* The batch at scrub->pos, which is all in the piece.  false: nothing more to be done here. */
static bool check_one(struct rl_scrub *scrub, const struct piece *piece, const struct rl_batch *batch)
{
    if (scrub->next_offset < 0)
        scrub->next_offset = batch->base_offset;
    if (batch->base_offset == scrub->next_offset && rl_batch_check(batch) == RL_OK) {
        scrub->pos += (uint32_t)batch->size_bytes;
        scrub->next_offset = rl_batch_last_offset(batch) + 1;
        return true;
    }
    note(scrub, "damaged batch");
    return step_over(scrub, piece, batch);
}

/* What of the piece is whole batches.  RL_ETRUNCATED: the batch at scrub->pos is not all there;
 * *ret_bytes: how large it says it is. */
static rl_status check_piece(struct rl_scrub *scrub, const struct piece *piece, size_t *ret_bytes)
{
    while (scrub->pos < scrub->end_pos && scrub->pos - piece->pos < piece->bytes) {
        size_t at = scrub->pos - piece->pos, left = scrub->end_pos - scrub->pos;
        struct rl_batch batch;

        if (left >= RL_BATCH_HEADER_BYTES && piece->bytes - at < RL_BATCH_HEADER_BYTES) {
            *ret_bytes = RL_BATCH_HEADER_BYTES;
            return RL_ETRUNCATED;
        }
        rl_status status = rl_batch_read_header(piece->data + at, left, &batch);
        if (status == RL_OK && batch.size_bytes > piece->bytes - at) {
            *ret_bytes = batch.size_bytes;
            return RL_ETRUNCATED;
        }
        bool goes_on = status == RL_OK && check_one(scrub, piece, &batch);
        if (status != RL_OK) {
            note(scrub, "damaged batch");
            goes_on = step_over(scrub, piece, NULL);
        }
        if (!goes_on)
            scrub->pos = scrub->end_pos;
    }
    return RL_OK;
}

static void run_step(struct rl_op *op)
{
    struct rl_scrub *scrub = op->arg;
    struct piece piece = { .data = rl_alloc(STEP_BYTES) };
    size_t wanted = STEP_BYTES;
    int fd;

    op->status = rl_disk_open(scrub->manager->shard->disk, scrub->path, RL_OPEN_DEVICE, &fd);
    while (op->status == RL_OK) {
        rl_status status = load(scrub, fd, &piece, wanted);
        if (status != RL_OK) {
            note(scrub, "cannot be read");
            if (!step_over(scrub, &piece, NULL))
                scrub->pos = scrub->end_pos;
            break;
        }
        uint32_t from = scrub->pos;
        status = check_piece(scrub, &piece, &wanted);
        if (status != RL_ETRUNCATED || scrub->pos > from)
            break;                      /* the rest comes with the next step */
    }
    if (op->status == RL_OK)
        rl_disk_close(scrub->manager->shard->disk, fd);
    rl_free(piece.data);
}

/* ---- on the shard ---- */

static void wake_in(struct rl_scrub *scrub, int64_t delay_ns)
{
    struct rl_shard *shard = scrub->manager->shard;

    rl_timer_start(shard, &scrub->timer, shard->now_ns + delay_ns);
}

/* The segment to go on with, NULL: this log is done. */
static struct rl_segment *current_segment(struct rl_scrub *scrub)
{
    struct rl_log *log = scrub->log;

    for (uint32_t i = 0; i < log->segment_count; i++) {
        struct rl_segment *seg = &log->segments[i];
        if (seg->base_offset < scrub->segment_base ||
            (seg->base_offset == scrub->segment_base && scrub->segment_done))
            continue;
        if (seg->base_offset >= scrub->end_offset)
            break;
        if (seg->base_offset > scrub->segment_base) {
            scrub->segment_done = false;
            scrub->segment_base = seg->base_offset;
            scrub->pos = 0;
            scrub->next_offset = seg->base_offset;
        }
        if (scrub->pos < seg->synced_bytes)
            return seg;
    }
    return NULL;
}

static void on_stepped(struct rl_op *op);

static void submit(struct rl_scrub *scrub, const struct rl_segment *seg)
{
    char directory[RL_PATH_BYTES];

    rl_log_directory(scrub->log, directory);
    rl_segment_path(directory, seg->base_offset, ".log", scrub->path);
    rl_segment_path(directory, seg->base_offset, ".index", scrub->index_path);
    scrub->index_entries = seg->index_entries;
    scrub->end_pos = seg->synced_bytes;
    scrub->read_bytes = 0;
    scrub->found_count = 0;
    scrub->job_log = scrub->log;
    scrub->job_log->busy++;
    scrub->busy = true;
    scrub->op = (struct rl_op){ .kind = RL_OP_JOB, .job.run = run_step, .done = on_stepped,
                                .arg = scrub };
    rl_submit(scrub->manager->shard, &scrub->op);
}

/* The log at the front, or NULL when it had its turn in this round. */
static struct rl_log *next_log(struct rl_scrub *scrub)
{
    struct rl_list *node = rl_list_first(&scrub->manager->logs);
    struct rl_log *log = node != NULL ? RL_LIST_ENTRY(node, struct rl_log, in_manager) : NULL;

    if (log == NULL || log->scrub_round == scrub->round)
        return NULL;
    log->scrub_round = scrub->round;
    scrub->end_offset = log->flushed_offset;
    scrub->segment_base = INT64_MIN;
    rl_list_remove(node);
    rl_list_push_back(&scrub->manager->logs, node);
    return log;
}

static void round_over(struct rl_scrub *scrub)
{
    const struct rl_log_counts *counts = &scrub->manager->counts;

    if (scrub->round_bytes > 0)
        RL_INFO("log", "scrub: %" PRIu64 " bytes read and checked, %" PRIu64 " damaged batches known",
                scrub->round_bytes, counts->damaged_batches);
    scrub->manager->counts.scrub_rounds++;
    scrub->round_bytes = 0;
    scrub->round++;
    wake_in(scrub, REST_NS);
}

static void on_timer(struct rl_timer *timer)
{
    struct rl_scrub *scrub = timer->arg;

    for (uint32_t i = 0; i < SKIPPED_MAX; i++) {
        if (scrub->log == NULL)
            scrub->log = next_log(scrub);
        if (scrub->log == NULL) {
            round_over(scrub);
            return;
        }
        struct rl_segment *seg =
            scrub->log->failure == RL_OK && !scrub->log->closing ? current_segment(scrub) : NULL;
        if (seg != NULL) {
            submit(scrub, seg);
            return;
        }
        scrub->log = NULL;
    }
    wake_in(scrub, 0);
}

static void on_stepped(struct rl_op *op)
{
    struct rl_scrub *scrub = op->arg;
    struct rl_log *log = scrub->job_log;

    scrub->busy = false;
    log->busy--;
    if (log->closing)
        rl_log_mark_dirty(log);
    if (op->status == RL_OK && rl_log_segment_find(log, scrub->segment_base) != NULL) {
        for (uint32_t i = 0; i < scrub->found_count; i++)
            rl_damage_note(log, scrub->segment_base, scrub->found[i].pos, scrub->found[i].offset,
                           scrub->found[i].what);
    } else {
        scrub->pos = scrub->end_pos;    /* retention took it, or it cannot be opened */
    }
    scrub->segment_done = scrub->pos >= scrub->end_pos;
    scrub->round_bytes += scrub->read_bytes;
    scrub->manager->counts.scrubbed_bytes += scrub->read_bytes;
    uint64_t bytes = RL_MAX(scrub->read_bytes, 4096u);
    wake_in(scrub, (int64_t)((double)bytes * 1e9 / (double)scrub->bytes_per_second));
}

/* ---- start and stop ---- */

void rl_scrub_start(struct rl_log_manager *manager, uint64_t bytes_per_second)
{
    if (bytes_per_second == 0)
        return;
    struct rl_scrub *scrub = rl_alloc_zero(1, sizeof *scrub);
    scrub->manager = manager;
    scrub->bytes_per_second = bytes_per_second;
    scrub->round = 1;
    scrub->timer = (struct rl_timer){ .done = on_timer, .arg = scrub };
    manager->scrub = scrub;
    wake_in(scrub, FIRST_ROUND_NS);
}

void rl_scrub_forget(struct rl_log *log)
{
    struct rl_scrub *scrub = log->manager->scrub;

    if (scrub != NULL && scrub->log == log)
        scrub->log = NULL;
}

void rl_scrub_stop(struct rl_log_manager *manager)
{
    struct rl_scrub *scrub = manager->scrub;

    if (scrub == NULL)
        return;
    RL_ASSERT(!scrub->busy);            /* it would hold its log */
    rl_timer_stop(manager->shard, &scrub->timer);
    rl_free(scrub);
    manager->scrub = NULL;
}
