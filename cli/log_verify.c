/* cli/log_verify.c — `ringlog log verify`: which partitions there are, and what was found.
 *
 * Happy path: one line per partition and one below all.
 * Failures: a line per finding, the exit code says whether any is more than a note. */
#include "cli/log_command.h"
#include "core/memory.h"
#include "log/file_name.h"
#include "log/verify.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_WRONG = 1, EXIT_UNREADABLE = 3 };

struct run {
    struct rl_disk *disk;
    const struct rl_log_command_options *options;
    json_t *partitions;                 /* NULL: a table is printed */
    uint64_t partition_count, errors, warnings;
    bool unreadable;
};

/* ---- one partition ---- */

static const char *const severity_names[] = { "note", "warning", "error" };

static void print_finding(const struct rl_finding *f)
{
    char pos[40] = "", offset[40] = "";

    if (f->pos >= 0)
        snprintf(pos, sizeof pos, " at %" PRId64, f->pos);
    if (f->offset >= 0)
        snprintf(offset, sizeof offset, " (offset %" PRId64 ")", f->offset);
    printf("  %-7s %s%s%s: %s\n", severity_names[f->severity], f->file[0] != 0 ? f->file : "log", pos, offset,
           f->what);
}

static void print_partition(const char *path, const struct rl_verification *v)
{
    printf("%s: %u segment%s, %" PRIu64 " batches, %" PRIu64 " records, offsets %" PRId64 " to %" PRId64
           ", %" PRIu64 " bytes: ", path, v->segments, v->segments == 1 ? "" : "s", v->batches, v->records,
           RL_MAX(v->start_offset, (int64_t)0), RL_MAX(v->end_offset, (int64_t)0), v->bytes);
    if (v->errors == 0 && v->warnings == 0)
        printf("well\n");
    else
        printf("%" PRIu64 " error%s, %" PRIu64 " warning%s\n", v->errors, v->errors == 1 ? "" : "s", v->warnings,
               v->warnings == 1 ? "" : "s");
    for (uint32_t i = 0; i < v->finding_count; i++)
        print_finding(&v->findings[i]);
    if (v->errors + v->warnings > RL_FINDINGS_MAX)
        printf("  and more: only the first %d are listed\n", RL_FINDINGS_MAX);
}

static json_t *number_or_null(int64_t number)
{
    return number >= 0 ? json_integer(number) : json_null();
}

static json_t *partition_json(const char *path, const struct rl_verification *v)
{
    json_t *findings = json_array();

    for (uint32_t i = 0; i < v->finding_count; i++) {
        const struct rl_finding *f = &v->findings[i];
        json_array_append_new(findings, json_pack("{s:s, s:s, s:o, s:o, s:s}", "severity",
                                                  severity_names[f->severity], "file", f->file, "position",
                                                  number_or_null(f->pos), "offset", number_or_null(f->offset),
                                                  "problem", f->what));
    }
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:o}", "path", path, "segments",
                     (int)v->segments, "batches", (json_int_t)v->batches, "records", (json_int_t)v->records,
                     "bytes", (json_int_t)v->bytes, "start_offset", number_or_null(v->start_offset),
                     "end_offset", number_or_null(v->end_offset), "errors", (json_int_t)v->errors, "warnings",
                     (json_int_t)v->warnings, "findings", findings);
}

static void unreadable(struct run *run, const char *path, rl_status status)
{
    fprintf(stderr, "ringlog log: %s: %s\n", path, rl_status_text(status));
    run->unreadable = true;
}

static void verify_partition(struct run *run, const char *directory, const char *only)
{
    struct rl_verification v;
    const struct rl_verify_options options = { .records = run->options->records, .only = only };

    rl_status status = rl_verify_partition(run->disk, directory, &options, &v);
    if (status != RL_OK) {
        unreadable(run, directory, status);
        return;
    }
    run->partition_count++;
    run->errors += v.errors;
    run->warnings += v.warnings;
    if (run->partitions != NULL)
        json_array_append_new(run->partitions, partition_json(directory, &v));
    else
        print_partition(directory, &v);
    rl_verification_done(&v);
}

/* ---- which ones ---- */

/* "topic-12" */
static bool names_partition(const char *name)
{
    const char *dash = strrchr(name, '-');

    return dash != NULL && dash != name && dash[1] != 0 && strspn(dash + 1, "0123456789") == strlen(dash + 1);
}

static bool holds_partition(const struct rl_log_files *files)
{
    for (uint32_t i = 0; i < files->count; i++) {
        if (files->files[i].kind == RL_FILE_LOG || files->files[i].kind == RL_FILE_PARTITION)
            return true;
    }
    return false;
}

static void verify_directory(struct run *run, const char *path)
{
    struct rl_log_files files;

    rl_status status = rl_log_files_list(run->disk, path, &files);
    if (status != RL_OK) {
        unreadable(run, path, status);
        return;
    }
    if (holds_partition(&files)) {
        verify_partition(run, path, NULL);
    } else {
        uint64_t before = run->partition_count;
        for (uint32_t i = 0; i < files.directory_count; i++) {
            struct rl_text below = { 0 };
            if (!names_partition(files.directories[i]))
                continue;
            rl_text_printf(&below, "%s/%s", path, files.directories[i]);
            verify_partition(run, rl_text_string(&below), NULL);
            rl_text_done(&below);
        }
        if (run->partition_count == before)
            fprintf(stderr, "ringlog log: %s: no partition in it\n", path);
    }
    rl_log_files_done(&files);
}

/* One .log file: its directory, but only this segment. */
static void verify_file(struct run *run, const char *path)
{
    struct rl_text directory = { 0 };
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    int64_t offset;

    if (rl_log_file_kind(name, &offset) != RL_FILE_LOG) {
        fprintf(stderr, "ringlog log: %s: verify takes a directory or a .log file\n", path);
        run->unreadable = true;
        return;
    }
    if (slash == NULL)
        rl_text_append_string(&directory, ".");
    else
        rl_text_append(&directory, path, slash == path ? 1 : (size_t)(slash - path));
    verify_partition(run, rl_text_string(&directory), name);
    rl_text_done(&directory);
}

static void verify_path(struct run *run, char *path)
{
    struct rl_log_files files;
    size_t bytes = strlen(path);
    int fd;

    while (bytes > 1 && path[bytes - 1] == '/')
        path[--bytes] = 0;
    if (rl_log_files_list(run->disk, path, &files) == RL_OK) {
        rl_log_files_done(&files);
        verify_directory(run, path);
        return;
    }
    rl_status status = rl_disk_open(run->disk, path, 0, &fd);
    if (status != RL_OK) {
        unreadable(run, path, status);
        return;
    }
    rl_disk_close(run->disk, fd);
    verify_file(run, path);
}

int rl_log_verify(char *const *paths, int count, const struct rl_log_command_options *options)
{
    struct run run = { .disk = rl_disk_real(), .options = options,
                       .partitions = options->json ? json_array() : NULL };

    for (int i = 0; i < count; i++)
        verify_path(&run, paths[i]);
    if (options->json) {
        json_t *all = json_pack("{s:o, s:I, s:I}", "partitions", run.partitions, "errors",
                                (json_int_t)run.errors, "warnings", (json_int_t)run.warnings);
        json_dumpf(all, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(all);
    } else {
        printf("%" PRIu64 " partition%s, %" PRIu64 " error%s, %" PRIu64 " warning%s\n", run.partition_count,
               run.partition_count == 1 ? "" : "s", run.errors, run.errors == 1 ? "" : "s", run.warnings,
               run.warnings == 1 ? "" : "s");
    }
    if (run.unreadable || run.partition_count == 0)
        return EXIT_UNREADABLE;
    return run.errors + run.warnings > 0 ? EXIT_WRONG : 0;
}
