/* tests/core/test_text.c — growing text and Kafka's ids. */
#include "core/memory.h"
#include "core/slice.h"
#include "core/status.h"
#include "core/text.h"
#include <criterion/criterion.h>

Test(text, grows_and_stays_terminated)
{
    struct rl_text text = { 0 };

    cr_assert_str_eq(rl_text_string(&text), "");
    for (int i = 0; i < 1000; i++)
        rl_text_printf(&text, "%04d", i);
    cr_assert_eq(text.bytes, 4000);
    cr_assert_eq(strlen(text.data), 4000);
    cr_assert(memcmp(text.data + 3996, "0999", 4) == 0);
    rl_text_printf(&text, "%5000d", 1);
    cr_assert_eq(text.bytes, 9000);
    rl_text_clear(&text);
    cr_assert_str_eq(rl_text_string(&text), "");
    rl_text_append_string(&text, "ab");
    rl_text_append_char(&text, 'c');
    rl_text_append(&text, NULL, 0);
    cr_assert(rl_slice_equal_string(rl_text_slice(&text), "abc"));
    char *taken = rl_text_take(&text);
    cr_assert_str_eq(taken, "abc");
    rl_free(taken);
    taken = rl_text_take(&text);
    cr_assert_str_eq(taken, "");
    rl_free(taken);
    rl_text_done(&text);
}

Test(uuid, text_form_is_kafkas)
{
    /* Kafka's Uuid.METADATA_TOPIC_ID is (0, 1); the second from Java's Base64 url encoder. */
    struct rl_uuid one = { { [15] = 1 } }, parsed;
    char text[RL_UUID_TEXT_BYTES];

    rl_uuid_format(one, text);
    cr_assert_str_eq(text, "AAAAAAAAAAAAAAAAAAAAAQ");
    cr_assert_eq(rl_uuid_parse(rl_slice_of_string(text), &parsed), RL_OK);
    cr_assert(rl_uuid_equal(parsed, one));
    cr_assert_eq(rl_uuid_parse(rl_slice_of_string("AAAAAAAAAAAAAAAAAAAAAQ=="), &parsed), RL_OK);

    struct rl_uuid id;
    for (int i = 0; i < 16; i++)
        id.bytes[i] = (uint8_t)(255 - i);
    rl_uuid_format(id, text);
    cr_assert_str_eq(text, "__79_Pv6-fj39vX08_Lx8A");
    cr_assert_eq(rl_uuid_parse(rl_slice_of_string(text), &parsed), RL_OK);
    cr_assert(rl_uuid_equal(parsed, id));
}

Test(uuid, other_text_is_refused)
{
    struct rl_uuid parsed;
    const char *bad[] = { "", "AAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAQA",
                          "AAAAAAAAAA+AAAAAAAAAAQ", "AAAAAAAAAAAAAAAAAAAAAR",
                          "AAAAAAAAAAAAAAAAAAAAAQ=A" };

    for (size_t i = 0; i < RL_ARRAY_COUNT(bad); i++)
        cr_assert_eq(rl_uuid_parse(rl_slice_of_string(bad[i]), &parsed), RL_EMALFORMED, "%s", bad[i]);
    cr_assert_eq(rl_uuid_parse(rl_slice_of("AAAAAAAAAAA\0AAAAAAAAAQ", 22), &parsed), RL_EMALFORMED);
}
