/* SPDX-License-Identifier: MIT */
/* base/writer: text by many calls, one check at the end. */
#include "check.h"

#include "alloc.h"
#include "base/writer.h"

static void
write_all(struct peal_writer *w)
{
    peal_writer_json_begin(w, '{');
    peal_writer_json_key(w, "name");
    peal_writer_json_str(w, PEAL_S("a \"quoted\" name, long enough to grow a buffer"));
    peal_writer_json_key(w, "list");
    peal_writer_json_begin(w, '[');
    peal_writer_json_u64(w, UINT64_MAX);
    peal_writer_json_i64(w, -7);
    peal_writer_json_begin(w, '[');
    peal_writer_json_end(w, ']');
    peal_writer_json_raw(w, PEAL_S("{\"raw\":null}"));
    peal_writer_json_end(w, ']');
    peal_writer_json_key(w, "yes");
    peal_writer_json_bool(w, true);
    peal_writer_json_key(w, "no");
    peal_writer_json_bool(w, false);
    peal_writer_json_end(w, '}');
    peal_writer_putc(w, '\n');
    peal_writer_printf(w, "%s=%d", "n", 5);
    peal_writer_puts(w, ".");
    peal_writer_put(w, PEAL_S("end"));
}

static const char written[] =
    "before {\"name\":\"a \\\"quoted\\\" name, long enough to grow a buffer\","
    "\"list\":[18446744073709551615,-7,[],{\"raw\":null}],\"yes\":true,\"no\":false}\n"
    "n=5.end";

static void
commas_are_put_between_values(void **state)
{
    struct peal_buf b = { 0 };
    struct peal_writer w;

    CHECK_OK(peal_buf_add_slice(&b, PEAL_S("before ")));
    w = peal_writer_on(&b);
    write_all(&w);
    CHECK_OK(peal_writer_end(&w));
    CHECK_SLICE(peal_buf_slice(&b), written);
    peal_buf_fini(&b);
}

static void
the_first_failure_sticks_and_undoes_all(void **state)
{
    struct peal_buf b = { 0 };
    peal_err err;
    long n = 0;

    do {
        struct peal_writer w;

        peal_buf_fini(&b);
        CHECK_OK(peal_buf_add_slice(&b, PEAL_S("before ")));
        w = peal_writer_on(&b);
        alloc_left = n++;
        write_all(&w);
        err = peal_writer_end(&w);
        alloc_left = -1;
        CHECK_SLICE(peal_buf_slice(&b), err == PEAL_OK ? written : "before ");
    } while (err == PEAL_ENOMEM);
    CHECK_OK(err);
    CHECK(n > 2);
    peal_buf_fini(&b);
}

static void
a_caller_can_fail_a_writer(void **state)
{
    struct peal_buf b = { 0 };
    struct peal_writer w = peal_writer_on(&b);

    peal_writer_puts(&w, "something");
    peal_writer_fail(&w, PEAL_ELIMIT);
    peal_writer_fail(&w, PEAL_EINVAL);
    CHECK_ERR(peal_writer_end(&w), PEAL_ELIMIT);
    CHECK_INT(b.len, 0);
    peal_buf_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_are_put_between_values),
        cmocka_unit_test(the_first_failure_sticks_and_undoes_all),
        cmocka_unit_test(a_caller_can_fail_a_writer),
    };

    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
