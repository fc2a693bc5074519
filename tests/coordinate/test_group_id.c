/* tests/coordinate/test_group_id.c — the partition of a group is the one that Java computes.
 *
 * Expected values: Math.abs("...".hashCode()) % 50, by hand and by Java. */
#include "coordinate/group_id.h"
#include <criterion/criterion.h>

static int32_t partition(const char *id)
{
    return rl_group_partition(rl_slice_of_string(id), 50);
}

Test(group_id, as_java_hashes)
{
    cr_assert_eq(partition(""), 0);
    cr_assert_eq(partition("a"), 97 % 50);
    cr_assert_eq(partition("ab"), (97 * 31 + 98) % 50);
    cr_assert_eq(partition("console-consumer-1"), 24);
    cr_assert_eq(rl_group_partition(rl_slice_of_string("polygenelubricants"), 50), 0,
                 "hashes to Integer.MIN_VALUE");
}

Test(group_id, utf16_units)
{
    cr_assert_eq(partition("\xc3\xa9"), 0xe9 % 50);                     /* U+00E9 */
    cr_assert_eq(partition("\xe2\x82\xac"), 0x20ac % 50);               /* U+20AC */
    cr_assert_eq(partition("\xf0\x9f\x98\x80"), 49);   /* U+1F600, two units */
}

/* One U+FFFD for each maximal part of a sequence that is none. */
Test(group_id, what_is_not_utf8)
{
    cr_assert_eq(partition("\xff"), 0xfffd % 50);
    cr_assert_eq(partition("\xe2\x82"), 0xfffd % 50);
    cr_assert_eq(partition("\xed\xa0\x80"), 0xfffd % 50, "a surrogate");
    cr_assert_eq(partition("\xc0\x80"), (int32_t)((0xfffdLL * 31 + 0xfffd) % 50));
}
