/* tests/broker/test_data_directory.c — whose data directory, against a disk in memory. */
#include "broker/data_directory.h"
#include "tests/io/mem_backend.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define PATH "/var/lib/ringlog"
#define META PATH "/meta.properties"

static struct rl_mem *mem;
static struct rl_disk *disk;
static char message[RL_DATA_DIRECTORY_MESSAGE_BYTES];
static uint8_t random_byte;

static void setup(void)
{
    mem = rl_mem_create(1);
    disk = rl_mem_disk(mem);
    random_byte = 0xff;
}

static void teardown(void)
{
    cr_assert_eq(rl_mem_disk_open_count(disk), 0);
    rl_mem_free(mem);
}

TestSuite(data_directory, .init = setup, .fini = teardown);

static rl_status fake_random(void *arg, void *data, size_t bytes)
{
    if (arg != NULL)
        return RL_EIO;
    memset(data, random_byte, bytes);
    return RL_OK;
}

/* Only the root and /var are there, as far as anybody knows. */
static bool fake_owner(const char *path, uint32_t *ret_user_id)
{
    *ret_user_id = strcmp(path, "/var") == 0 ? 1000 : 0;
    return strcmp(path, "/var") == 0 || strcmp(path, "/") == 0;
}

static struct rl_data_directory_options options_of(const char *path)
{
    return (struct rl_data_directory_options){
        .path = path, .node_id = 7, .user_id = 4711, .owner = fake_owner, .random = fake_random };
}

static rl_status try_open(struct rl_data_directory *ret_directory)
{
    struct rl_data_directory_options options = options_of(PATH);
    return rl_data_directory_open(disk, &options, ret_directory, message);
}

/* Open must fail with this status and a message that has the path and all of the words in it. */
static void refused(rl_status expected, const char *word, const char *other_word)
{
    struct rl_data_directory directory;
    cr_assert_eq(try_open(&directory), expected, "%s", message);
    cr_assert_not_null(strstr(message, PATH), "%s", message);
    cr_assert_not_null(strstr(message, word), "%s", message);
    cr_assert_not_null(strstr(message, other_word), "%s", message);
    cr_assert_null(strchr(message, '\n'));
}

static void make_directories(void)
{
    static const char *const paths[] = { "/var", "/var/lib", PATH };
    for (size_t i = 0; i < RL_ARRAY_COUNT(paths); i++) {
        rl_status status = rl_disk_make_directory(disk, paths[i]);
        cr_assert(status == RL_OK || status == RL_EEXIST);
    }
}

static void write_file(const char *path, const char *text)
{
    int fd;
    size_t written;
    struct iovec iov = { .iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text) };
    make_directories();
    cr_assert_eq(rl_disk_open(disk, path, RL_OPEN_WRITE | RL_OPEN_CREATE | RL_OPEN_TRUNCATE, &fd),
                 RL_OK);
    cr_assert_eq(rl_disk_write(disk, fd, 0, &iov, 1, &written), RL_OK);
    rl_disk_close(disk, fd);
}

static void count_entry(void *arg, const char *name, bool directory)
{
    (void)name;
    (void)directory;
    ++*(size_t *)arg;
}

static size_t entries(void)
{
    size_t count = 0;
    cr_assert_eq(rl_disk_list(disk, PATH, count_entry, &count), RL_OK);
    return count;
}

Test(data_directory, missing_one_is_made_and_formatted)
{
    struct rl_data_directory directory;
    cr_assert_eq(try_open(&directory), RL_OK, "%s", message);
    cr_assert(directory.formatted);
    cr_assert_eq(strlen(directory.cluster_id), RL_UUID_TEXT_BYTES - 1);

    char text[256], expected[256];
    int fd;
    size_t bytes;
    cr_assert_eq(rl_disk_open(disk, META, 0, &fd), RL_OK);
    cr_assert_eq(rl_disk_read(disk, fd, 0, text, sizeof text - 1, &bytes), RL_OK);
    text[bytes] = '\0';
    rl_disk_close(disk, fd);
    snprintf(expected, sizeof expected, "# Written by ringlog; do not edit.\nversion=1\n"
             "ringlog.format=1\ncluster.id=%s\nnode.id=7\n", directory.cluster_id);
    cr_assert_str_eq(text, expected);
    rl_data_directory_close(disk, &directory);
}

Test(data_directory, cluster_id_is_no_option_for_tools)
{
    struct rl_data_directory directory;
    random_byte = 0xfa;                 /* would begin with a dash */
    cr_assert_eq(try_open(&directory), RL_OK);
    cr_assert_neq(directory.cluster_id[0], '-');
    rl_data_directory_close(disk, &directory);
}

Test(data_directory, second_start_finds_the_first_one_also_after_a_power_cut)
{
    struct rl_data_directory first, second;
    cr_assert_eq(try_open(&first), RL_OK);
    rl_mem_disk_crash(disk);
    random_byte = 0x11;
    cr_assert_eq(try_open(&second), RL_OK, "%s", message);
    cr_assert_not(second.formatted);
    cr_assert_str_eq(second.cluster_id, first.cluster_id);
    rl_data_directory_close(disk, &second);
}

/* Killed with all directories made and none of their names durable. */
Test(data_directory, names_made_by_a_killed_start_survive_a_power_cut)
{
    struct rl_data_directory first, second;
    make_directories();
    cr_assert_eq(try_open(&first), RL_OK, "%s", message);
    rl_data_directory_close(disk, &first);
    rl_mem_disk_crash(disk);
    cr_assert_eq(try_open(&second), RL_OK, "%s", message);
    cr_assert_not(second.formatted);
    rl_data_directory_close(disk, &second);
}

Test(data_directory, any_failure_is_told_and_a_later_start_succeeds)
{
    for (uint32_t after = 0; after < 32; after++) {
        struct rl_disk *one = rl_mem_add_disk(mem);
        struct rl_data_directory_options options = options_of(PATH);
        struct rl_data_directory directory;
        rl_mem_disk_fail(one, RL_MEM_ANY, after, RL_ENOSPACE);
        if (rl_data_directory_open(one, &options, &directory, message) == RL_OK) {
            rl_data_directory_close(one, &directory);
        } else {
            cr_assert_not_null(strstr(message, "no space left"), "%s", message);
            cr_assert_not_null(strstr(message, " /"), "%s", message);
            cr_assert_eq(rl_mem_disk_open_count(one), 0);
        }
        rl_mem_disk_heal(one);
        rl_mem_disk_crash(one);
        cr_assert_eq(rl_data_directory_open(one, &options, &directory, message), RL_OK, "%s",
                     message);
        rl_data_directory_close(one, &directory);
    }
}

Test(data_directory, a_new_file_system_counts_as_empty)
{
    struct rl_data_directory directory;
    make_directories();
    cr_assert_eq(rl_disk_make_directory(disk, PATH "/lost+found"), RL_OK);
    write_file(PATH "/meta.properties.tmp", "version=1\nringlog.for");   /* died while formatting */
    cr_assert_eq(try_open(&directory), RL_OK, "%s", message);
    cr_assert(directory.formatted);
    rl_data_directory_close(disk, &directory);
}

Test(data_directory, one_process_at_a_time)
{
    struct rl_data_directory directory;
    cr_assert_eq(try_open(&directory), RL_OK);
    refused(RL_EBUSY, "another process", ".lock");
    rl_data_directory_close(disk, &directory);
    cr_assert_eq(try_open(&directory), RL_OK);
    rl_data_directory_close(disk, &directory);
}

Test(data_directory, kafkas_is_refused_untouched)
{
    write_file(META, "#\n#Sun Nov 22 22:36:01 UTC 2026\ncluster.id=kyqTnjLvSteASnporu96eg\n"
                     "directory.id=U3M8xbLCDZ8KQdYl0cCT6A\nnode.id=7\nversion=1\n");
    write_file(PATH "/bootstrap.checkpoint", "x");
    refused(RL_EVERSION, "Apache Kafka", "--data-dir");
    cr_assert_eq(entries(), 2);
}

Test(data_directory, somebody_elses_is_refused_untouched)
{
    write_file(PATH "/holiday.jpg", "x");
    refused(RL_EEXIST, "holiday.jpg", "--data-dir");
    cr_assert_eq(entries(), 1);
}

Test(data_directory, a_newer_one_is_refused)
{
    write_file(META, "version=1\nringlog.format=2\nsomething.new=[}\n");
    refused(RL_EVERSION, "newer ringlog", "format 2");
    write_file(META, "version=2\nringlog.format=1\n");
    refused(RL_EVERSION, "newer ringlog", "version 2");
}

Test(data_directory, another_node_is_refused)
{
    write_file(META, "version=1\nringlog.format=1\ncluster.id=kyqTnjLvSteASnporu96eg\nnode.id=8\n");
    refused(RL_EINVAL, "node.id=8", "node.id=7");
}

Test(data_directory, values_may_be_escaped_and_unknown_ones_are_passed_over)
{
    struct rl_data_directory directory;
    write_file(META, "! hello\nversion : 1\nringlog.format   1\ncluster.id=kyqTnjLvSteASnpor\\\n"
                     "   u96eg\nnode.id=\\u0037\nfuture.key=x\n");
    cr_assert_eq(try_open(&directory), RL_OK, "%s", message);
    cr_assert_str_eq(directory.cluster_id, "kyqTnjLvSteASnporu96eg");
    rl_data_directory_close(disk, &directory);
}

Test(data_directory, damage_is_named)
{
    static const char *const damaged[] = {
        "",
        "version=1\nringlog.format=1\nnode.id=7\n",
        "version=1\nringlog.format=1\ncluster.id=short\nnode.id=7\n",
        "version=1\nringlog.format=1\ncluster.id=kyqTnjLvSteASnporu96e!\nnode.id=7\n",
        "version=1\nringlog.format=1\ncluster.id=kyqTnjLvSteASnporu96eg\nnode.id=seven\n",
        "version=1\nringlog.format=one\ncluster.id=kyqTnjLvSteASnporu96eg\nnode.id=7\n",
        "version=1\nringlog.format=0\ncluster.id=kyqTnjLvSteASnporu96eg\nnode.id=7\n",
        "ringlog.format=1\ncluster.id=kyqTnjLvSteASnporu96eg\nnode.id=7\n",
        "version=1\nringlog.format=1\ncluster.id=kyqTnjLvSteASnporu96eg\nnode.id=9999999999999999999\n",
    };
    for (size_t i = 0; i < RL_ARRAY_COUNT(damaged); i++) {
        write_file(META, damaged[i]);
        refused(RL_ECORRUPT, META, "Remedy");
    }
}

Test(data_directory, too_large_to_be_ours)
{
    static char text[70000];
    memset(text, '#', sizeof text - 1);
    write_file(META, text);
    refused(RL_ECORRUPT, META, "Remedy");
}

Test(data_directory, permission_problems_come_with_the_line_to_type)
{
    rl_mem_disk_fail(disk, RL_MEM_MAKE_DIRECTORY, 0, RL_EACCESS);
    refused(RL_EACCESS, "/var belongs to uid 1000 and ringlog runs as uid 4711",
            "chown -R 4711 /var");
}

Test(data_directory, permission_problems_of_the_owner_are_no_matter_of_chown)
{
    struct rl_data_directory_options options = options_of(PATH);
    struct rl_data_directory directory;
    options.user_id = 1000;
    rl_mem_disk_fail(disk, RL_MEM_MAKE_DIRECTORY, 0, RL_EACCESS);
    cr_assert_eq(rl_data_directory_open(disk, &options, &directory, message), RL_EACCESS);
    cr_assert_not_null(strstr(message, "chmod u+rwx /var"), "%s", message);
    cr_assert_null(strstr(message, "chown"));
}

Test(data_directory, a_file_is_no_directory)
{
    rl_mem_disk_fail(disk, RL_MEM_MAKE_DIRECTORY, 0, RL_EINVAL);
    refused(RL_EINVAL, "not a directory", "create");
}

Test(data_directory, no_randomness_no_format)
{
    struct rl_data_directory_options options = options_of(PATH);
    struct rl_data_directory directory;
    options.random_arg = &options;
    cr_assert_eq(rl_data_directory_open(disk, &options, &directory, message), RL_EIO);
    cr_assert_not_null(strstr(message, "cluster id"));
}

Test(data_directory, paths_that_cannot_be)
{
    static char path[RL_PATH_BYTES + 10];
    struct rl_data_directory_options options = options_of("");
    struct rl_data_directory directory;
    cr_assert_eq(rl_data_directory_open(disk, &options, &directory, message), RL_EINVAL);
    memset(path, 'x', sizeof path - 1);
    options.path = path;
    cr_assert_eq(rl_data_directory_open(disk, &options, &directory, message), RL_EINVAL);
}
