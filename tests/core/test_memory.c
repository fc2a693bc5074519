/* tests/core/test_memory.c — heap, arena, counted buffers, lists. */
#include "core/arena.h"
#include "core/buffer.h"
#include "core/list.h"
#include "core/memory.h"
#include "core/status.h"
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

Test(memory, zero_bytes_is_a_pointer_and_zeroed_is_zero)
{
    void *p = rl_alloc(0);
    cr_assert_not_null(p);
    p = rl_realloc(p, 100);
    rl_free(p);
    uint8_t *zero = rl_alloc_zero(10, 10);
    for (int i = 0; i < 100; i++)
        cr_assert_eq(zero[i], 0);
    rl_free(zero);
    rl_free(NULL);
}

Test(memory, aligned_memory_is_aligned)
{
    for (size_t alignment = 16; alignment <= 4096; alignment *= 2) {
        uint8_t *p = rl_alloc_aligned(alignment, 100);
        cr_assert_eq((uintptr_t)p % alignment, 0);
        memset(p, 1, 100);
        rl_free(p);
    }
}

Test(memory, strings_are_copied)
{
    char *s = rl_strndup("hello world", 5), *t = rl_asprintf("%s-%d", s, 7), *u = rl_strdup(t);
    cr_assert_str_eq(u, "hello-7");
    rl_free(s);
    rl_free(t);
    rl_free(u);
    rl_memory_purge();
    cr_assert_geq(rl_memory_allocated_bytes(), 0);
}

Test(memory, an_overflowing_array_ends_the_process, .signal = SIGABRT)
{
    volatile size_t count = SIZE_MAX / 2;
    rl_free(rl_alloc_zero(count, 4));
}

Test(arena, gives_aligned_disjoint_memory)
{
    struct rl_arena arena;
    uint8_t *runs[200];

    rl_arena_init(&arena, 256, 1 << 20);
    for (size_t i = 0; i < 200; i++) {
        runs[i] = rl_arena_alloc(&arena, i * 3);
        cr_assert_not_null(runs[i]);
        cr_assert_eq((uintptr_t)runs[i] % 16, 0);
        memset(runs[i], (int)i, i * 3);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < i * 3; j++)
            cr_assert_eq(runs[i][j], (uint8_t)i);
    }
    rl_arena_done(&arena);
}

Test(arena, stops_at_its_limit_and_goes_on_below_it)
{
    struct rl_arena arena;

    rl_arena_init(&arena, 64, 100);
    cr_assert_null(rl_arena_alloc(&arena, 101));
    cr_assert_null(rl_arena_alloc(&arena, SIZE_MAX));
    cr_assert_null(rl_arena_alloc_array(&arena, SIZE_MAX / 2, 3));
    cr_assert_null(rl_arena_alloc_array(&arena, 1u << 30, 8));
    cr_assert_null(rl_arena_strndup(&arena, "", SIZE_MAX));
    cr_assert_not_null(rl_arena_alloc(&arena, 96));
    cr_assert_null(rl_arena_alloc(&arena, 1));
    rl_arena_reset(&arena);
    char *text = rl_arena_strndup(&arena, "abcdef", 3);
    cr_assert_str_eq(text, "abc");
    rl_arena_done(&arena);
}

Test(arena, reset_keeps_the_chunk_of_usual_size)
{
    struct rl_arena arena;

    rl_arena_init(&arena, 1024, 1 << 20);
    void *first = rl_arena_alloc(&arena, 10);
    cr_assert_not_null(rl_arena_alloc(&arena, 100000));
    rl_arena_reset(&arena);
    cr_assert_eq(rl_arena_alloc(&arena, 10), first);
    cr_assert_eq(arena.used_bytes, 16);
    rl_arena_done(&arena);
    cr_assert_eq(arena.used_bytes, 0);
}

Test(arena, arrays_are_zeroed_after_reset)
{
    struct rl_arena arena;

    rl_arena_init(&arena, 1024, 1 << 20);
    memset(rl_arena_alloc(&arena, 512), 255, 512);
    rl_arena_reset(&arena);
    uint64_t *numbers = rl_arena_alloc_array(&arena, 64, 8);
    for (int i = 0; i < 64; i++)
        cr_assert_eq(numbers[i], 0);
    rl_arena_done(&arena);
}

Test(buffer, is_freed_by_its_last_user)
{
    struct rl_buffer *buffer = rl_buffer_create(1000, 3);

    cr_assert_eq(buffer->home, 3);
    cr_assert_eq(buffer->capacity, 1000);
    memset(buffer->data, 1, buffer->capacity);
    cr_assert_eq(rl_buffer_ref(buffer), buffer);
    rl_buffer_unref(buffer);
    buffer->data[999] = 2;
    rl_buffer_unref(buffer);            /* the address sanitizer watches */
    rl_buffer_unref(NULL);
}

struct item {
    int number;
    struct rl_list node;
};

Test(list, keeps_order_and_moves)
{
    struct rl_list a, b;
    struct item items[5] = { { .number = 0 } };

    rl_list_init(&a);
    rl_list_init(&b);
    cr_assert(rl_list_empty(&a));
    cr_assert_null(rl_list_pop_front(&a));
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        cr_assert_not(rl_list_linked(&items[i].node));
        rl_list_push_back(i < 3 ? &a : &b, &items[i].node);
    }
    rl_list_take_all(&a, &b);
    cr_assert(rl_list_empty(&b));
    rl_list_take_all(&a, &b);
    int expected = 0;
    RL_LIST_EACH_SAFE(node, &a) {
        struct item *item = RL_LIST_ENTRY(node, struct item, node);
        cr_assert_eq(item->number, expected++);
        if (item->number % 2 == 1)
            rl_list_remove(node);
    }
    cr_assert_eq(expected, 5);
    rl_list_push_front(&a, &items[3].node);
    int order[] = { 3, 0, 2, 4 }, at = 0;
    RL_LIST_EACH(node, &a)
        cr_assert_eq(RL_LIST_ENTRY(node, struct item, node)->number, order[at++]);
    cr_assert_eq(RL_LIST_ENTRY(rl_list_first(&a), struct item, node)->number, 3);
}

Test(status, has_names_and_comes_from_errno)
{
    cr_assert_str_eq(rl_status_name(RL_EIO), "RL_EIO");
    cr_assert_str_eq(rl_status_text(RL_OK), "ok");
    cr_assert_str_eq(rl_status_name((rl_status)9999), "RL_UNKNOWN");
    for (int i = 0; i < RL_STATUS_COUNT; i++)
        cr_assert_gt(strlen(rl_status_text((rl_status)i)), 0);
    cr_assert_eq(rl_status_from_errno(ENOSPC), RL_ENOSPACE);
    cr_assert_eq(rl_status_from_errno(ENOTBLK), RL_EIO);
    cr_assert_eq(rl_status_from_errno(0), RL_OK);
}

Test(base, never_is_counted)
{
    uint64_t before = rl_never_count();
    volatile int x = 1;

    cr_assert(RL_NEVER(x == 1));
    cr_assert_not(RL_NEVER(x == 2));
    cr_assert_eq(rl_never_count(), before + 1);
}

Test(base, a_broken_assertion_aborts, .signal = SIGABRT)
{
    volatile int x = 1;
    rl_panic_install();
    RL_ASSERT(x == 2);
}
