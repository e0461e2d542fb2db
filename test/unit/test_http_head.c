/* SPDX-License-Identifier: MIT */
/* wire/http_head: request heads. What two parsers could read differently is refused. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "wire/http_head.h"

#define LINE "GET / HTTP/1.1\r\n"
#define HOST "Host: a\r\n"

/* Parses a copy of exactly that size, so that a sanitizer sees every step too far. */
static peal_err
parse(struct peal_slice in, struct peal_httphead *h, size_t *used)
{
    char *copy = malloc(in.len ? in.len : 1);
    peal_err err;

    CHECK(copy != NULL);
    if (in.len > 0)
        memcpy(copy, in.data, in.len);
    err = peal_httphead_parse(peal_slice_of(copy, in.len), NULL, NULL, h, used);
    free(copy);
    return err;
}

/* Byte by byte, each time with everything so far in memory of its own, as it happens when
 * a buffer grows. */
static peal_err
parse_slowly(struct peal_slice in, struct peal_httphead *h, size_t *used)
{
    size_t scan = 0;
    peal_err err = PEAL_EAGAIN;

    for (size_t n = 0; n <= in.len && err == PEAL_EAGAIN; n++) {
        char *copy = malloc(n ? n : 1);

        CHECK(copy != NULL);
        memcpy(copy, in.data, n);
        err = peal_httphead_parse(peal_slice_of(copy, n), NULL, &scan, h, used);
        free(copy);
    }
    return err;
}

static void
check_status(const char *in, size_t len, unsigned want, const char *file, int line)
{
    struct peal_httphead h = { 0 };
    size_t used = 0;
    bool limit = want == 413 || want == 414 || want == 431;
    peal_err err;

    for (int slowly = 0; slowly < 2; slowly++) {
        err = slowly ? parse_slowly(peal_slice_of(in, len), &h, &used)
                     : parse(peal_slice_of(in, len), &h, &used);
        if (err != (want == 0  ? PEAL_OK
                       : limit ? PEAL_ELIMIT
                               : PEAL_EPROTO) ||
            (want != 0 && (h.status != want || h.why == NULL))) {
            print_error("%s:%d: %d %u %s, want %u, of \"%.*s\"\n", file, line, (int)err,
                h.status, h.why ? h.why : "", want, (int)len, in);
            fail();
        }
    }
}

#define REFUSED(status, lit)                                                             \
    check_status("" lit, sizeof(lit) - 1, (status), __FILE__, __LINE__)
#define TAKEN(lit) check_status("" lit, sizeof(lit) - 1, 0, __FILE__, __LINE__)

/* The head of a text that stays where it is. */
static struct peal_httphead *
head_of(const char *text)
{
    static struct peal_httphead h;
    size_t used = 0;

    CHECK_OK(peal_httphead_parse(peal_slice_str(text), NULL, NULL, &h, &used));
    CHECK_INT(used, strlen(text));
    return &h;
}

static void
a_request_is_read(void **state)
{
    struct peal_httphead *h =
        head_of("POST /a/b?c=d&e=f HTTP/1.1\r\nHost: example.com:8080\r\n"
                "content-length: 12\r\nX-Empty:\r\nX-Trim: \t b c \t \r\n\r\n");

    CHECK_SLICE(h->method, "POST");
    CHECK_SLICE(h->target, "/a/b?c=d&e=f");
    CHECK_SLICE(h->path, "/a/b");
    CHECK_SLICE(h->query, "c=d&e=f");
    CHECK_SLICE(h->host, "example.com:8080");
    CHECK_INT(h->minor, 1);
    CHECK_INT(h->content_length, 12);
    CHECK(!h->chunked && h->keep_alive && !h->upgrade_websocket && !h->expect_continue);
    CHECK_INT(h->n_headers, 4);
    CHECK_SLICE(h->headers[1].name, "content-length");
    CHECK_SLICE(peal_httphead_get(h, PEAL_S("x-empty")), "");
    CHECK(peal_httphead_get(h, PEAL_S("x-empty")).data != NULL);
    CHECK_SLICE(peal_httphead_get(h, PEAL_S("X-TRIM")), "b c");
    CHECK(peal_httphead_get(h, PEAL_S("x-none")).data == NULL);
}

static void
what_follows_is_left_alone(void **state)
{
    struct peal_slice two = PEAL_S(LINE HOST "\r\n\r\nGET /next");
    struct peal_httphead h;
    size_t used = 0;

    CHECK_OK(peal_httphead_parse(two, NULL, NULL, &h, &used));
    CHECK_INT(used, sizeof(LINE HOST "\r\n") - 1);
    CHECK(h.query.data == NULL);
    CHECK_SLICE(h.path, "/");
}

static void
what_is_incomplete_is_waited_for(void **state)
{
    static const char text[] = LINE HOST "\r\n";
    struct peal_httphead h;
    size_t used = 0;

    for (size_t n = 0; n < sizeof(text) - 1; n++)
        CHECK_ERR(parse(peal_slice_of(text, n), &h, &used), PEAL_EAGAIN);
    CHECK_INT(used, 0);
    TAKEN(LINE HOST "\r\n");
}

static void
a_few_empty_lines_before_a_request_are_forgiven(void **state)
{
    struct peal_httphead h;
    size_t used = 0;

    CHECK_OK(parse(PEAL_S("\r\n" LINE HOST "\r\n"), &h, &used));
    CHECK_INT(used, sizeof("\r\n" LINE HOST "\r\n") - 1);
    TAKEN("\r\n" LINE HOST "\r\n");
    TAKEN("\r\n\r\n" LINE HOST "\r\n");
    TAKEN("\r\n\r\n\r\n\r\n" LINE HOST "\r\n");
    REFUSED(400, "\r\n\r\n\r\n\r\n\r\n" LINE HOST "\r\n");
    REFUSED(400, "\r\n\rG");
    REFUSED(400, "\n" LINE HOST "\r\n");
    REFUSED(400, "\rG");
    REFUSED(400, " " LINE HOST "\r\n");
}

static void
the_request_line_is_read_to_the_letter(void **state)
{
    REFUSED(400, "GET\r\n" HOST "\r\n");
    REFUSED(400, "GET /\r\n" HOST "\r\n"); /* HTTP/0.9 */
    REFUSED(400, "GET  / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /  HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/1.1 \r\n" HOST "\r\n");
    REFUSED(400, "GET\t/\tHTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET / http/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/1\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/1.10\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/11.1\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTP/1,1\r\n" HOST "\r\n");
    REFUSED(400, "GET / HTTPS/1.1\r\n" HOST "\r\n");
    REFUSED(400, "G(T / HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /\x7f HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /\x80 HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /\0 HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /a#b HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET /a b HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(505, "GET / HTTP/1.2\r\n" HOST "\r\n");
    REFUSED(505, "GET / HTTP/2.0\r\n" HOST "\r\n");
    REFUSED(505, "GET / HTTP/0.9\r\n" HOST "\r\n");
    REFUSED(505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    REFUSED(405, "CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n");
    TAKEN("M-SEARCH!#$%&'*+.^_`|~1 /%zz\"<>[]{}\\?x?? HTTP/1.1\r\n" HOST "\r\n");
}

static void
targets_have_one_of_three_forms(void **state)
{
    struct peal_httphead *h;

    REFUSED(400, "GET * HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET a HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET ?a HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "OPTIONS *a HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET http:// HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET http:///a HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET http:a HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET http://user@a/ HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET http://a:b/ HTTP/1.1\r\n" HOST "\r\n");
    REFUSED(400, "GET http://a%62/ HTTP/1.1\r\n" HOST "\r\n");
    h = head_of("OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    CHECK_SLICE(h->path, "*");
    h = head_of("GET HTTP://b:81/x?y HTTP/1.1\r\n" HOST "\r\n");
    CHECK_SLICE(h->host, "b:81"); /* section 3.2.2: Host is ignored */
    CHECK_SLICE(h->path, "/x");
    CHECK_SLICE(h->query, "y");
    h = head_of("GET https://b?y HTTP/1.1\r\n" HOST "\r\n");
    CHECK_SLICE(h->path, "/");
    CHECK_SLICE(h->query, "y");
    h = head_of("GET http://b HTTP/1.1\r\n" HOST "\r\n");
    CHECK_SLICE(h->path, "/");
    CHECK(h->query.data == NULL);
    h = head_of("OPTIONS http://b HTTP/1.1\r\n" HOST "\r\n");
    CHECK_SLICE(h->path, "*");
    REFUSED(400, "GET http://b/ HTTP/1.1\r\n\r\n"); /* and Host is still needed */
}

static void
lines_end_in_crlf_and_nothing_else(void **state)
{
    REFUSED(400, "GET / HTTP/1.1\n" HOST "\r\n");
    REFUSED(400, LINE "Host: a\n\r\n");
    REFUSED(400, LINE HOST "\n");
    REFUSED(400, LINE "Host: a\r\r\n\r\n");
    REFUSED(400, LINE HOST "X: a\rY: b\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.1\rHost: a\r\n\r\n");
    REFUSED(400, "G\n");
    REFUSED(400, "GET / HTTP/1.1\r\n" HOST "X: a\r \r\n\r\n");
    REFUSED(400, LINE HOST "X: a\0b\r\n\r\n");
    REFUSED(400, LINE HOST "X: a\x0b\r\n\r\n");
    REFUSED(400, LINE HOST "X: a\x7f\r\n\r\n");
    TAKEN(LINE HOST "X: \xff\x80 \"(\t)\r\n\r\n"); /* obs-text */
}

static void
fields_are_read_to_the_letter(void **state)
{
    REFUSED(400, LINE HOST "X: a\r\n b\r\n\r\n"); /* obs-fold */
    REFUSED(400, LINE HOST "X: a\r\n\tb\r\n\r\n");
    REFUSED(400, LINE " " HOST "\r\n");
    REFUSED(400, LINE "Host : a\r\n\r\n");
    REFUSED(400, LINE HOST "Content-Length : 5\r\n\r\n");
    REFUSED(400, LINE HOST "Transfer-Encoding\t: chunked\r\n\r\n");
    REFUSED(400, LINE HOST ": a\r\n\r\n");
    REFUSED(400, LINE HOST "X\r\n\r\n");
    REFUSED(400, LINE HOST "X Y: a\r\n\r\n");
    REFUSED(400, LINE HOST "X\0: a\r\n\r\n");
    REFUSED(400, LINE HOST "X\x80: a\r\n\r\n");
    REFUSED(400, LINE HOST "(X): a\r\n\r\n");
    TAKEN(LINE HOST "X:a:b: c\r\n\r\n");
}

static void
a_host_is_one_name(void **state)
{
    REFUSED(400, LINE "\r\n");
    REFUSED(400, LINE HOST HOST "\r\n");
    REFUSED(400, LINE "Host: a b\r\n\r\n");
    REFUSED(400, LINE "Host: a, b\r\n\r\n");
    REFUSED(400, LINE "Host: a/b\r\n\r\n");
    REFUSED(400, LINE "Host: u@a\r\n\r\n");
    REFUSED(400, LINE "Host: a:b\r\n\r\n");
    REFUSED(400, LINE "Host: a:65536\r\n\r\n");
    REFUSED(400, LINE "Host: a:80:80\r\n\r\n");
    REFUSED(400, LINE "Host: :80\r\n\r\n");
    REFUSED(400, LINE "Host: ::1\r\n\r\n");
    REFUSED(400, LINE "Host: [::1\r\n\r\n");
    REFUSED(400, LINE "Host: []\r\n\r\n");
    REFUSED(400, LINE "Host: [::1]80\r\n\r\n");
    REFUSED(400, LINE "Host: [::1%25lo]\r\n\r\n");
    REFUSED(400, LINE "Host: \xc3\xa9\r\n\r\n");
    TAKEN(LINE "Host: [::1]:80\r\n\r\n");
    TAKEN(LINE "Host: [::ffff:1.2.3.4]\r\n\r\n");
    TAKEN(LINE "Host: a:\r\n\r\n");
    TAKEN(LINE "Host: a_b-c.example:0\r\n\r\n");
    TAKEN(LINE "Host:\r\n\r\n"); /* of a URI without authority */
    TAKEN("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n");
    REFUSED(400, LINE "Host:\r\nHost:\r\n\r\n");
    TAKEN("GET / HTTP/1.0\r\n\r\n");
    TAKEN("GET / HTTP/1.0\r\nHost:\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.0\r\nHost: a b\r\n\r\n");
    REFUSED(400, "GET / HTTP/1.0\r\n" HOST HOST "\r\n");
}

#define POST "POST / HTTP/1.1\r\n" HOST

static void
a_body_has_one_length(void **state)
{
    REFUSED(400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n");
    REFUSED(400, POST "Content-Length: 5\r\ncontent-length: 6\r\n\r\n");
    REFUSED(400, POST "Content-Length: 5, 5\r\n\r\n");
    REFUSED(400, POST "Content-Length: +5\r\n\r\n");
    REFUSED(400, POST "Content-Length: -5\r\n\r\n");
    REFUSED(400, POST "Content-Length: 0x5\r\n\r\n");
    REFUSED(400, POST "Content-Length: 5 5\r\n\r\n");
    REFUSED(400, POST "Content-Length: 5.0\r\n\r\n");
    REFUSED(400, POST "Content-Length:\r\n\r\n");
    REFUSED(400, POST "Content-Length: \xd9\xa5\r\n\r\n");
    REFUSED(413, POST "Content-Length: 9223372036854775808\r\n\r\n");
    REFUSED(413, POST "Content-Length: 99999999999999999999999999\r\n\r\n");
    CHECK_INT(head_of(POST "Content-Length: 9223372036854775807\r\n\r\n")->content_length,
        INT64_MAX);
    CHECK_INT(head_of(POST "Content-Length: 0007\r\n\r\n")->content_length, 7);
    CHECK_INT(head_of(POST "Content-Length: 0\r\n\r\n")->content_length, 0);
    CHECK_INT(head_of(POST "\r\n")->content_length, -1);
}

static void
a_body_cannot_be_smuggled(void **state)
{
    static const char chunked[] = POST "Transfer-Encoding: ChunkeD \r\n\r\n";

    REFUSED(400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n");
    REFUSED(400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n");
    REFUSED(400, POST "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n");
    REFUSED(400, POST "Transfer-Encoding:\r\nContent-Length: 5\r\n\r\n");
    REFUSED(400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n");
    REFUSED(400, POST "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n");
    REFUSED(400, POST "Transfer-Encoding: chunked, chunked\r\n\r\n");
    REFUSED(501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n");
    REFUSED(501, POST "Transfer-Encoding: chunked, gzip\r\n\r\n");
    REFUSED(501, POST "Transfer-Encoding: xchunked\r\n\r\n");
    REFUSED(501, POST "Transfer-Encoding: chunked;q=1\r\n\r\n");
    REFUSED(501, POST "Transfer-Encoding: \"chunked\"\r\n\r\n");
    REFUSED(501, POST "Transfer-Encoding: , chunked\r\n\r\n");
    REFUSED(501, POST "Transfer-Encoding: identity\r\n\r\n");
    REFUSED(501, POST "Transfer-Encoding:\r\n\r\n");
    REFUSED(400, POST "Transfer-Encoding: \x0b"
                      "chunked\r\n\r\n");
    REFUSED(400, POST "Transfer-Encoding:\r\n chunked\r\n\r\n");
    REFUSED(400, "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    CHECK(head_of(chunked)->chunked);
    CHECK_INT(head_of(chunked)->content_length, -1);
    /* The name of another field does not count, however near it is. */
    TAKEN(POST "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n");
    TAKEN(POST "X-Content-Length: 6\r\nContent-Length: 5\r\n\r\n");
}

static void
connections_are_kept_as_asked(void **state)
{
    CHECK(head_of(LINE HOST "\r\n")->keep_alive);
    CHECK(!head_of(LINE HOST "Connection: Close\r\n\r\n")->keep_alive);
    CHECK(!head_of(LINE HOST "Connection: x,close , y\r\n\r\n")->keep_alive);
    CHECK(!head_of(LINE HOST "Connection: x\r\nConnection: close\r\n\r\n")->keep_alive);
    CHECK(head_of(LINE HOST "Connection: closed\r\n\r\n")->keep_alive);
    CHECK(!head_of("GET / HTTP/1.0\r\n\r\n")->keep_alive);
    CHECK(head_of("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")->keep_alive);
    CHECK(
        !head_of("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n")->keep_alive);
}

#define UPGRADE "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"

static void
upgrades_are_seen(void **state)
{
    CHECK(head_of(LINE HOST UPGRADE "\r\n")->upgrade_websocket);
    CHECK(head_of(LINE HOST "Upgrade: h2c, websocket\r\nConnection: upgrade\r\n\r\n")
              ->upgrade_websocket);
    CHECK(!head_of(LINE HOST "Upgrade: websocket\r\n\r\n")->upgrade_websocket);
    CHECK(!head_of(LINE HOST "Connection: upgrade\r\n\r\n")->upgrade_websocket);
    CHECK(!head_of(LINE HOST UPGRADE "Content-Length: 1\r\n\r\n")->upgrade_websocket);
    CHECK(head_of(LINE HOST UPGRADE "Content-Length: 0\r\n\r\n")->upgrade_websocket);
    CHECK(!head_of(LINE HOST UPGRADE "Transfer-Encoding: chunked\r\n\r\n")
               ->upgrade_websocket);
    CHECK(!head_of("GET / HTTP/1.0\r\n" UPGRADE "\r\n")->upgrade_websocket);
}

static void
expectations_are_met_or_refused(void **state)
{
    CHECK(head_of(POST "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n")
              ->expect_continue);
    CHECK(head_of(POST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
              ->expect_continue);
    CHECK(!head_of(POST "Expect: 100-continue\r\n\r\n")->expect_continue);
    REFUSED(417, POST "Expect: 101-continue\r\n\r\n");
    REFUSED(417, POST "Expect: 100-continue, x\r\n\r\n");
    CHECK(!head_of("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: x\r\n\r\n")
               ->expect_continue);
}

/* The status of a head of parts repeated n times, within limits. */
static unsigned
status_of(const struct peal_httphead_limits *lim, const char *line, const char *field,
    unsigned n, size_t *len_out)
{
    struct peal_httphead h = { 0 };
    char text[8192];
    size_t len = (size_t)snprintf(text, sizeof(text), "%s" HOST, line), used, scan = 0;
    peal_err err, slow = PEAL_EAGAIN;

    while (n-- > 0)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", field);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "\r\n");
    *len_out = len;
    for (size_t have = 0; have <= len && slow == PEAL_EAGAIN; have++)
        slow = peal_httphead_parse(peal_slice_of(text, have), lim, &scan, &h, &used);
    err = peal_httphead_parse(peal_slice_of(text, len), lim, NULL, &h, &used);
    CHECK_INT(err, slow);
    CHECK(err != PEAL_EAGAIN);
    return err == PEAL_OK ? 0 : h.status;
}

static void
limits_are_kept_to_the_byte(void **state)
{
    struct peal_httphead_limits lim = {
        .line_max = 20, .head_max = 64, .headers_max = 3
    };
    size_t len;

    CHECK_INT(status_of(&lim, "GET /67890 HTTP/1.1\r\n", "", 0, &len), 0);
    CHECK_INT(status_of(&lim, "GET /678901 HTTP/1.1\r\n", "", 0, &len), 0);
    CHECK_INT(status_of(&lim, "GET /6789012 HTTP/1.1\r\n", "", 0, &len), 414);
    CHECK_INT(
        status_of(&lim, "GET /678901234567890123456789 HTTP/1.1\r\n", "", 0, &len), 414);
    CHECK_INT(status_of(&lim, LINE, "A: b\r\n", 2, &len), 0);
    CHECK_INT(status_of(&lim, LINE, "A: b\r\n", 3, &len), 431);
    CHECK_INT(status_of(&lim, LINE, "A: 456789012345678901234567890123\r\n", 1, &len), 0);
    CHECK_INT(len, 62);
    CHECK_INT(
        status_of(&lim, LINE, "A: 45678901234567890123456789012345\r\n", 1, &len), 0);
    CHECK_INT(len, 64);
    CHECK_INT(
        status_of(&lim, LINE, "A: 456789012345678901234567890123456\r\n", 1, &len), 431);
    lim.head_max = 4096;
    lim.headers_max = 100000; /* more than there is room for */
    CHECK_INT(status_of(&lim, LINE, "A:\r\n", PEAL_HTTP_HEADERS_MAX - 1, &len), 0);
    CHECK_INT(status_of(&lim, LINE, "A:\r\n", PEAL_HTTP_HEADERS_MAX, &len), 431);
}

static void
an_endless_head_is_refused_before_its_end(void **state)
{
    struct peal_httphead_limits lim = {
        .line_max = 100, .head_max = 200, .headers_max = 9
    };
    struct peal_httphead h = { 0 };
    char text[300];
    size_t used, scan = 0;

    memset(text, 'a', sizeof(text));
    CHECK_ERR(peal_httphead_parse(peal_slice_of(text, 101), &lim, &scan, &h, &used),
        PEAL_EAGAIN);
    CHECK_ERR(peal_httphead_parse(peal_slice_of(text, 102), &lim, &scan, &h, &used),
        PEAL_ELIMIT);
    CHECK_INT(h.status, 414);
    memcpy(text, LINE, sizeof(LINE) - 1);
    scan = 0;
    CHECK_ERR(peal_httphead_parse(peal_slice_of(text, 199), &lim, &scan, &h, &used),
        PEAL_EAGAIN);
    CHECK_ERR(peal_httphead_parse(peal_slice_of(text, 200), &lim, &scan, &h, &used),
        PEAL_ELIMIT);
    CHECK_INT(h.status, 431);
}

static void
repeated_fields_are_walked(void **state)
{
    struct peal_httphead *h = head_of(LINE HOST "A: 1\r\nB: 2\r\na: 3\r\n\r\n");
    struct peal_slice v;
    unsigned i = 0;

    CHECK(peal_httphead_next(h, PEAL_S("A"), &i, &v));
    CHECK_SLICE(v, "1");
    CHECK(peal_httphead_next(h, PEAL_S("A"), &i, &v));
    CHECK_SLICE(v, "3");
    CHECK(!peal_httphead_next(h, PEAL_S("A"), &i, &v));
}

static void
lists_are_cut_at_commas_outside_quotes(void **state)
{
    static const char *const want[] = { "a", "b;x=\"1,\\\",2\"", "c d", "e" };
    struct peal_slice rest = PEAL_S(" a,,b;x=\"1,\\\",2\" , c d\t,e,"), item;
    struct peal_slice open = PEAL_S("a, \"b, c\\");

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        CHECK(peal_httphead_list_next(&rest, &item));
        CHECK_SLICE(item, want[i]);
    }
    CHECK(!peal_httphead_list_next(&rest, &item));
    CHECK(peal_httphead_list_next(&open, &item));
    CHECK(peal_httphead_list_next(&open, &item));
    CHECK_SLICE(item, "\"b, c\\");
    CHECK(!peal_httphead_list_next(&open, &item));
    CHECK(peal_httphead_has_token(PEAL_S("x, Y"), PEAL_S("y")));
    CHECK(!peal_httphead_has_token(PEAL_S("xy, \"y\""), PEAL_S("y")));
    CHECK(peal_httphead_is_token(PEAL_S("a-b!")));
    CHECK(!peal_httphead_is_token(PEAL_S("")));
    CHECK(!peal_httphead_is_token(PEAL_S("a b")));
}

static void
dates_are_those_of_the_calendar(void **state)
{
    static const struct {
        int64_t at;
        const char *text;
    } dates[] = {
        { 784111777, "Sun, 06 Nov 1994 08:49:37 GMT" }, /* RFC 9110 section 5.6.7 */
        { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { -5, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 4107542399, "Sun, 28 Feb 2100 23:59:59 GMT" },
        { 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT" },
        { 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
        { INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT" },
    };
    char text[PEAL_HTTP_DATE_LEN + 1];

    for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
        peal_httphead_date(dates[i].at, text);
        assert_string_equal(text, dates[i].text);
    }
    assert_string_equal(peal_httphead_reason(431), "Request Header Fields Too Large");
    assert_string_equal(peal_httphead_reason(200), "OK");
    assert_string_equal(peal_httphead_reason(299), "Unknown");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(what_follows_is_left_alone),
        cmocka_unit_test(what_is_incomplete_is_waited_for),
        cmocka_unit_test(a_few_empty_lines_before_a_request_are_forgiven),
        cmocka_unit_test(the_request_line_is_read_to_the_letter),
        cmocka_unit_test(targets_have_one_of_three_forms),
        cmocka_unit_test(lines_end_in_crlf_and_nothing_else),
        cmocka_unit_test(fields_are_read_to_the_letter),
        cmocka_unit_test(a_host_is_one_name),
        cmocka_unit_test(a_body_has_one_length),
        cmocka_unit_test(a_body_cannot_be_smuggled),
        cmocka_unit_test(connections_are_kept_as_asked),
        cmocka_unit_test(upgrades_are_seen),
        cmocka_unit_test(expectations_are_met_or_refused),
        cmocka_unit_test(limits_are_kept_to_the_byte),
        cmocka_unit_test(an_endless_head_is_refused_before_its_end),
        cmocka_unit_test(repeated_fields_are_walked),
        cmocka_unit_test(lists_are_cut_at_commas_outside_quotes),
        cmocka_unit_test(dates_are_those_of_the_calendar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
