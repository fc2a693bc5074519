/* tests/io/test_disk_real.c — the machine's files, in a directory of their own. */
#include "core/memory.h"
#include "io/disk.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static struct rl_disk *disk;

static void setup(void)
{
    const char *base = getenv("TMPDIR");

    snprintf(directory, sizeof directory, "%s/ringlog-disk-XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(directory));
    cr_assert_eq(chdir(directory), 0);
    disk = rl_disk_real();
}

static void remove_entry(void *arg, const char *name, bool is_directory)
{
    (void)arg;
    if (is_directory)
        rl_disk_remove_directory(disk, name);
    else
        rl_disk_unlink(disk, name);
}

static void teardown(void)
{
    rl_disk_list(disk, ".", remove_entry, NULL);
    cr_assert_eq(rl_disk_remove_directory(disk, directory), RL_OK);
}

TestSuite(disk_real, .init = setup, .fini = teardown);

Test(disk_real, writes_of_many_pieces_come_back)
{
    enum { PIECES = 3000 };             /* more than one system call takes */
    struct iovec iov[PIECES];
    uint8_t *data = rl_alloc(PIECES * 7), *got = rl_alloc(PIECES * 7 + 10);
    size_t total = 0, bytes;
    uint64_t size;
    int fd;

    for (int i = 0; i < PIECES; i++) {
        iov[i] = (struct iovec){ data + total, (size_t)(i % 8) };
        for (int j = 0; j < i % 8; j++)
            data[total++] = (uint8_t)(i + j);
    }
    cr_assert_eq(rl_disk_open(disk, "a", RL_OPEN_WRITE | RL_OPEN_CREATE, &fd), RL_OK);
    cr_assert_eq(rl_disk_write(disk, fd, 100, iov, PIECES, &bytes), RL_OK);
    cr_assert_eq(bytes, total);
    cr_assert_eq(rl_disk_size(disk, fd, &size), RL_OK);
    cr_assert_eq(size, total + 100);
    cr_assert_eq(rl_disk_read(disk, fd, 100, got, total + 10, &bytes), RL_OK);
    cr_assert_eq(bytes, total);
    cr_assert_eq(memcmp(got, data, total), 0);
    rl_status status = rl_disk_try_read(disk, fd, 100, got, 10, &bytes);
    cr_assert(status == RL_OK || status == RL_EBUSY);   /* not every file system can tell */
    cr_assert_eq(rl_disk_read(disk, fd, total + 100, got, 10, &bytes), RL_OK);
    cr_assert_eq(bytes, 0);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_OK);
    cr_assert_eq(rl_disk_truncate(disk, fd, 50), RL_OK);
    status = rl_disk_allocate(disk, fd, 0, 1 << 20);
    cr_assert(status == RL_OK || status == RL_EUNSUPPORTED);
    rl_disk_size(disk, fd, &size);
    cr_assert_eq(size, 50);
    struct stat file;
    fstat(fd, &file);
    if (status == RL_OK)
        cr_assert_geq(file.st_blocks, (1 << 20) / 512);
    cr_assert_eq(rl_disk_truncate(disk, fd, 50), RL_OK);        /* what lies behind goes back */
    fstat(fd, &file);
    cr_assert_leq(file.st_blocks, 64);
    rl_disk_close(disk, fd);
    rl_free(data);
    rl_free(got);
}

Test(disk_real, a_failed_write_says_so)
{
    struct iovec iov = { (void *)(uintptr_t)"x", 1 };
    size_t bytes = 9;
    int fd;

    cr_assert_eq(rl_disk_open(disk, "a", RL_OPEN_CREATE, &fd), RL_OK);
    cr_assert_neq(rl_disk_write(disk, fd, 0, &iov, 1, &bytes), RL_OK);  /* opened for reading */
    cr_assert_eq(bytes, 0);
    rl_disk_close(disk, fd);
}

static void note_entry(void *arg, const char *name, bool is_directory)
{
    char *seen = arg;
    strcat(seen, is_directory ? "/" : "");
    strcat(seen, name);
}

Test(disk_real, names)
{
    char seen[100] = "", text[128], again[128];
    int fd, lock;

    cr_assert_eq(rl_disk_open(disk, "a", 0, &fd), RL_ENOTFOUND);
    cr_assert_eq(rl_disk_open(disk, "a", RL_OPEN_CREATE | RL_OPEN_EXCLUSIVE, &fd), RL_OK);
    rl_disk_close(disk, fd);
    cr_assert_eq(rl_disk_open(disk, "a", RL_OPEN_CREATE | RL_OPEN_EXCLUSIVE, &fd), RL_EEXIST);
    cr_assert_eq(rl_disk_make_directory(disk, "d"), RL_OK);
    cr_assert_eq(rl_disk_make_directory(disk, "d"), RL_EEXIST);
    cr_assert_eq(rl_disk_rename(disk, "a", "d/b"), RL_OK);
    cr_assert_eq(rl_disk_remove_directory(disk, "d"), RL_EEXIST);
    cr_assert_eq(rl_disk_sync_directory(disk, "d"), RL_OK);
    cr_assert_eq(rl_disk_list(disk, ".", note_entry, seen), RL_OK);
    cr_assert_str_eq(seen, "/d");
    cr_assert_eq(rl_disk_list(disk, "none", note_entry, seen), RL_ENOTFOUND);
    cr_assert_eq(rl_disk_unlink(disk, "d/b"), RL_OK);

    cr_assert_eq(rl_disk_lock(disk, "lock", &lock), RL_OK);
    cr_assert_eq(rl_disk_lock(disk, "lock", &fd), RL_EBUSY);
    rl_disk_close(disk, lock);
    cr_assert_eq(rl_disk_lock(disk, "lock", &lock), RL_OK);
    rl_disk_close(disk, lock);

    uint64_t bytes = 0, total = 0;
    cr_assert_eq(rl_disk_free_bytes(disk, ".", &bytes, &total), RL_OK);
    cr_assert_leq(bytes, total);
    cr_assert_gt(bytes, 0);
    rl_status status = rl_disk_identity(disk, ".", text, sizeof text);
    cr_assert(status == RL_OK || status == RL_EUNSUPPORTED);
    if (status == RL_OK) {
        cr_assert_eq(rl_disk_identity(disk, "d", again, sizeof again), RL_OK);
        cr_assert_str_eq(text, again);
        cr_assert_eq(rl_disk_identity(disk, ".", text, 10), RL_ETOOLARGE);
    }
}

/* The bytes that are on the device come, at any place and length, and end where the file does. */
Test(disk_real, the_device_is_read_around_the_page_cache)
{
    enum { SIZE = (3 << 20) + 1234 };
    uint8_t *data = rl_alloc(SIZE), *got = rl_alloc(SIZE + 5000);
    struct iovec iov = { data, SIZE };
    static const struct { uint64_t pos; size_t bytes; } reads[] = {
        { 0, SIZE }, { 0, 1 }, { 1, 4096 }, { 4095, 2 }, { 4096, 4096 }, { 777, SIZE - 1000 }, { (1 << 20) - 1, 2 },
        { SIZE - 1, 1 }, { SIZE - 1, 4000 }, { 5, SIZE + 4000 }, { SIZE, 10 }, { SIZE + 9999, 10 }, { 12, 0 },
    };
    size_t bytes;
    int fd, device;

    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t)(i * 7 + i / 4096);
    cr_assert_eq(rl_disk_open(disk, "a", RL_OPEN_WRITE | RL_OPEN_CREATE, &fd), RL_OK);
    cr_assert_eq(rl_disk_write(disk, fd, 0, &iov, 1, &bytes), RL_OK);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_OK);
    cr_assert_eq(rl_disk_open(disk, "a", RL_OPEN_DEVICE, &device), RL_OK);
    for (size_t i = 0; i < RL_ARRAY_COUNT(reads); i++) {
        size_t left = reads[i].pos < SIZE ? SIZE - reads[i].pos : 0;
        cr_assert_eq(rl_disk_read_device(disk, device, reads[i].pos, got, reads[i].bytes, &bytes), RL_OK);
        cr_assert_eq(bytes, RL_MIN(reads[i].bytes, left), "read %zu", i);
        cr_assert(bytes == 0 || memcmp(got, data + reads[i].pos, bytes) == 0, "read %zu", i);
    }
    rl_disk_close(disk, device);
    rl_disk_close(disk, fd);
    rl_free(data);
    rl_free(got);
}

/* What is synced into a file without a name is lost when it is closed. */
Test(disk_real, a_sync_of_a_file_without_a_name_is_told)
{
    int fd;

    cr_assert_eq(rl_disk_open(disk, "a", RL_OPEN_WRITE | RL_OPEN_CREATE, &fd), RL_OK);
    cr_assert_eq(rl_disk_rename(disk, "a", "b"), RL_OK);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_OK);
    cr_assert_eq(rl_disk_unlink(disk, "b"), RL_OK);
    cr_assert_eq(rl_disk_sync(disk, fd), RL_ENOTFOUND);
    rl_disk_close(disk, fd);
}
