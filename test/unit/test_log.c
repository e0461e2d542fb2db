/* SPDX-License-Identifier: MIT */
/* base/log: lines are written into a pipe and read back. */
#include "check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/log.h"

struct sink {
    struct peal_log log;
    int in;
    char text[8192];
};

static void
open_sink(struct sink *s, bool friendly)
{
    int fds[2];

    CHECK_INT(pipe2(fds, O_NONBLOCK), 0);
    *s = (struct sink){ .in = fds[0] };
    s->log.fd = fds[1];
    s->log.friendly = friendly;
    s->log.level = PEAL_LOG_INFO;
}

static void
close_sink(struct sink *s)
{
    close(s->in);
    close(s->log.fd);
}

/* The line that was written since the last call; a friendly one without its time of day,
 * which must be there. */
static const char *
written(struct sink *s)
{
    static const char form[] = "dd:dd:dd.ddd ";
    ssize_t n = read(s->in, s->text, sizeof(s->text) - 1);

    s->text[n > 0 ? n : 0] = '\0';
    if (n <= 0 || !s->log.friendly)
        return s->text;
    for (size_t i = 0; i < sizeof(form) - 1; i++)
        CHECK(form[i] == 'd' ? s->text[i] >= '0' && s->text[i] <= '9'
                             : s->text[i] == form[i]);
    memmove(s->text, s->text + sizeof(form) - 1, (size_t)n - (sizeof(form) - 1) + 1);
    return s->text;
}

#define WROTE(s, want) assert_string_equal(written(s), want)

static void
a_line_has_a_time_a_level_and_fields(void **state)
{
    struct sink s;
    const char *at;

    open_sink(&s, false);
    peal_log(&s.log, PEAL_LOG_WARN, "it is late", "by=%dms of=%u", -3, 7u);
    CHECK((at = strchr(written(&s), ' ')) != NULL);
    CHECK(strncmp(s.text, "ts=2", 4) == 0 && at[-1] == 'Z');
    assert_string_equal(at, " level=warn msg=\"it is late\" by=-3ms of=7\n");
    peal_log(&s.log, PEAL_LOG_DEBUG, "nobody listens", NULL);
    WROTE(&s, "");
    close_sink(&s);
}

static void
numbers_are_written_as_printf_does(void **state)
{
    struct sink s;

    open_sink(&s, true);
    peal_log(&s.log, PEAL_LOG_INFO, "n",
        "a=%08x b=%lld c=%llu d=%zu e=%" PRIu64 " f=%c%%", 0xabcu, -5ll, ~0ull, (size_t)9,
        (uint64_t)1 << 40, 'z');
    WROTE(&s, "n a=00000abc b=-5 c=18446744073709551615 d=9 e=1099511627776 f=z%\n");
    close_sink(&s);
}

static void
no_value_begins_a_field_of_its_own(void **state)
{
    struct sink s;

    open_sink(&s, true);
    peal_log(&s.log, PEAL_LOG_INFO, "m", "a=%s b=%.*s c=%d", "plain:/x", 3, "cut off", 1);
    WROTE(&s, "m a=plain:/x b=cut c=1\n");
    peal_log(&s.log, PEAL_LOG_INFO, "m", "topic=%.*s c=%d", 9, "r level=x", 1);
    WROTE(&s, "m topic=\"r level=x\" c=1\n");
    peal_log(&s.log, PEAL_LOG_INFO, "m", "a=%s", "say \"hi\" \\");
    WROTE(&s, "m a=\"say \\\"hi\\\" \\\\\"\n");
    peal_log(&s.log, PEAL_LOG_INFO, "m", "why=\"%s\" c=%d", "x\" forged=\"1", 1);
    WROTE(&s, "m why=\"x\\\" forged=\\\"1\" c=1\n");
    peal_log(&s.log, PEAL_LOG_INFO, "m", "url=http://%s/", "a b=\"c");
    WROTE(&s, "m url=http://a?b??c/\n");
    peal_log(&s.log, PEAL_LOG_INFO, "m", "a=%s", "line\nbreak\x7f");
    WROTE(&s, "m a=\"line?break?\"\n");
    peal_log(&s.log, PEAL_LOG_INFO, "m", "%s c=%d", "host=h port=1", 2);
    WROTE(&s, "m host=h port=1 c=2\n");
    peal_log(&s.log, PEAL_LOG_INFO, "m", "a=%s b=%s", "", "1");
    WROTE(&s, "m a= b=1\n");
    close_sink(&s);
}

static void
long_values_and_long_lines_are_cut(void **state)
{
    static char value[3000];
    struct sink s;

    memset(value, ' ', sizeof(value) - 1);
    open_sink(&s, true);
    peal_log(&s.log, PEAL_LOG_INFO, "m", "a=%s b=1", value);
    CHECK_INT(strlen(written(&s)), strlen("m a=\"...\" b=1\n") + PEAL_LOG_VALUE_MAX);
    assert_string_equal(s.text + strlen("m a=\"") + PEAL_LOG_VALUE_MAX, "...\" b=1\n");
    peal_log(&s.log, PEAL_LOG_INFO, "m", "a=%s b=%s c=%s d=%s e=%s f=%s g=%s h=%s", value,
        value, value, value, value, value, value, value);
    CHECK(strlen(written(&s)) <= 4096);
    CHECK(s.text[strlen(s.text) - 1] == '\n');
    close_sink(&s);
}

static void
a_limit_leaves_lines_out_and_says_how_many(void **state)
{
    struct peal_log_limit limit = { 0 };
    struct sink s;

    open_sink(&s, true);
    for (int i = 0; i < PEAL_LOG_LIMIT_LINES; i++) {
        peal_log_limited(&s.log, &limit, 1000, PEAL_LOG_INFO, "m", "i=%d", 7);
        WROTE(&s, "m i=7\n");
    }
    for (int i = 0; i < 1000; i++)
        peal_log_limited(
            &s.log, &limit, 1000 + PEAL_LOG_LIMIT_MS - 1, PEAL_LOG_INFO, "m", NULL);
    WROTE(&s, "");
    peal_log_limited(&s.log, &limit, 1000 + PEAL_LOG_LIMIT_MS, PEAL_LOG_INFO, "m", NULL);
    WROTE(&s, "m suppressed=1000\n");
    peal_log_limited(&s.log, &limit, 1000 + PEAL_LOG_LIMIT_MS, PEAL_LOG_INFO, "m", NULL);
    WROTE(&s, "m\n");
    close_sink(&s);
}

static void
what_is_below_the_level_does_not_use_a_limit_up(void **state)
{
    struct peal_log_limit limit = { 0 };
    struct sink s;

    open_sink(&s, true);
    for (int i = 0; i < 100; i++)
        peal_log_limited(&s.log, &limit, 5, PEAL_LOG_DEBUG, "m", NULL);
    peal_log_limited(&s.log, &limit, 5, PEAL_LOG_INFO, "m", NULL);
    WROTE(&s, "m\n");
    close_sink(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_a_time_a_level_and_fields),
        cmocka_unit_test(numbers_are_written_as_printf_does),
        cmocka_unit_test(no_value_begins_a_field_of_its_own),
        cmocka_unit_test(long_values_and_long_lines_are_cut),
        cmocka_unit_test(a_limit_leaves_lines_out_and_says_how_many),
        cmocka_unit_test(what_is_below_the_level_does_not_use_a_limit_up),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
