/* tests/core/test_table.c — the hash table against a plain array, and its order. */
#include "core/memory.h"
#include "core/random.h"
#include "core/table.h"
#include <criterion/criterion.h>
#include <stdio.h>

Test(table, empty_has_nothing)
{
    struct rl_table table;
    uint32_t at = 0;

    rl_table_init(&table, 1);
    cr_assert_null(rl_table_find(&table, rl_slice_of_string("a")));
    cr_assert_null(rl_table_remove(&table, rl_slice_of_string("a")));
    cr_assert_null(rl_table_next(&table, &at));
    cr_assert_eq(rl_table_count(&table), 0);
    rl_table_done(&table);
}

Test(table, bytes_are_found_replaced_and_removed)
{
    struct rl_table table;
    int one = 1, two = 2, empty = 3;

    rl_table_init(&table, 1);
    cr_assert_null(rl_table_put(&table, rl_slice_of_string("one"), &one));
    cr_assert_null(rl_table_put(&table, rl_slice_of_string(""), &empty));
    cr_assert_eq(rl_table_put(&table, rl_slice_of_string("one"), &two), &one);
    cr_assert_eq(rl_table_count(&table), 2);
    cr_assert_eq(rl_table_find(&table, rl_slice_of(NULL, 0)), &empty);
    cr_assert_eq(rl_table_find(&table, rl_slice_of("one and more", 3)), &two);
    cr_assert_null(rl_table_find(&table, rl_slice_of_string("on")));
    cr_assert_eq(rl_table_remove(&table, rl_slice_of_string("one")), &two);
    cr_assert_null(rl_table_find(&table, rl_slice_of_string("one")));
    rl_table_done(&table);
}

/* Random puts and removes of few keys: clusters, gaps and wrap-around all happen. */
Test(table, behaves_like_an_array)
{
    enum { KEYS = 400, STEPS = 200000 };
    struct rl_table table;
    struct rl_random random;
    void *model[KEYS] = { NULL };
    uint32_t count = 0;

    rl_random_init(&random, 42);
    rl_table_init(&table, 7);
    for (int step = 0; step < STEPS; step++) {
        uint64_t key = rl_random_below(&random, KEYS);
        if (rl_random_below(&random, 2) == 0) {
            void *value = &model[rl_random_below(&random, KEYS)];
            cr_assert_eq(rl_table_put_number(&table, key, value), model[key]);
            count += model[key] == NULL;
            model[key] = value;
        } else {
            cr_assert_eq(rl_table_remove_number(&table, key), model[key]);
            count -= model[key] != NULL;
            model[key] = NULL;
        }
        uint64_t other = rl_random_below(&random, KEYS);
        cr_assert_eq(rl_table_find_number(&table, other), model[other]);
        cr_assert_eq(rl_table_count(&table), count);
    }
    uint32_t at = 0, walked = 0;
    while (rl_table_next(&table, &at) != NULL)
        walked++;
    cr_assert_eq(walked, count);
    rl_table_done(&table);
}

Test(table, months_of_coming_and_going_do_not_make_it_grow)
{
    struct rl_table table;
    int value;

    rl_table_init(&table, 3);
    for (uint64_t i = 0; i < 100000; i++) {
        rl_table_put_number(&table, i, &value);
        if (i >= 10)
            cr_assert_eq(rl_table_remove_number(&table, i - 10), &value);
    }
    cr_assert_eq(rl_table_count(&table), 10);
    cr_assert_leq(table.capacity, 32);
    rl_table_done(&table);
}

static uint64_t walk_order(uint64_t seed)
{
    struct rl_table table;
    static char names[100][32];
    uint64_t order = 0;
    uint32_t at = 0;
    char *name;

    rl_table_init(&table, seed);
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "topic-%d", i);
        rl_table_put(&table, rl_slice_of_string(names[i]), names[i]);
    }
    while ((name = rl_table_next(&table, &at)) != NULL)
        order = rl_hash_bytes(order, name, strlen(name));
    rl_table_done(&table);
    return order;
}

Test(table, order_depends_on_the_seed_alone)
{
    cr_assert_eq(walk_order(1), walk_order(1));
    cr_assert_neq(walk_order(1), walk_order(2));
}
