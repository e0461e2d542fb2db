/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 request heads, in two passes: memchr looks for the blank line, remembering how
 * far it got, and only a complete head is read, once, by a table of byte classes.
 *
 * The rule throughout: where RFC 9112 lets a recipient be lenient (bare LF, folding,
 * repeated lengths, unknown codings), this one is not, because leniency is where two
 * parsers in a row disagree about where a request ends. What decides the framing of the
 * body is collected while the fields are read and judged when all of them are known, so
 * their order does not matter.
 */
#include "wire/http_head.h"

#include <stdint.h>

#include "base/ascii.h"
#include "wire/hostport.h"

#define EMPTY_LINES_MAX 4 /* before a request line */

const struct peal_httphead_limits peal_httphead_limits_default = {
    .line_max = 8192,
    .head_max = 16384,
    .headers_max = 64,
};

enum {
    TOKEN = 1,  /* RFC 9110 section 5.6.2 */
    TARGET = 2, /* visible ASCII but '#': a fragment never goes on the wire */
    VALUE = 4,  /* field-vchar, SP, HTAB: section 5.5 */
    HOST = 8,   /* reg-name of RFC 3986 without escapes and ',' */
    IPV6 = 16,  /* inside the brackets of an IP-literal */
    TTV = TOKEN | TARGET | VALUE,
    TV = TARGET | VALUE,
};

static const uint8_t class_of[256] = {
    ['\t'] = VALUE,
    [' '] = VALUE,
    ['!'] = TTV | HOST,
    ['"'] = TV,
    ['#'] = TOKEN | VALUE,
    ['$'] = TTV | HOST,
    ['%'] = TTV,
    ['&' ... '\''] = TTV | HOST,
    ['(' ... ')'] = TV | HOST,
    ['*' ... '+'] = TTV | HOST,
    [','] = TV,
    ['-'] = TTV | HOST,
    ['.'] = TTV | HOST | IPV6,
    ['/'] = TV,
    ['0' ... '9'] = TTV | HOST | IPV6,
    [':'] = TV | IPV6,
    [';'] = TV | HOST,
    ['<'] = TV,
    ['='] = TV | HOST,
    ['>' ... '@'] = TV,
    ['A' ... 'F'] = TTV | HOST | IPV6,
    ['G' ... 'Z'] = TTV | HOST,
    ['[' ... ']'] = TV,
    ['^'] = TTV,
    ['_'] = TTV | HOST,
    ['`'] = TTV,
    ['a' ... 'f'] = TTV | HOST | IPV6,
    ['g' ... 'z'] = TTV | HOST,
    ['{'] = TV,
    ['|'] = TTV,
    ['}'] = TV,
    ['~'] = TTV | HOST,
    [0x80 ... 0xff] = VALUE,
};

/* The fields about framing and the connection, collected before they are judged. */
struct seen {
    unsigned hosts, lengths, codings;
    bool length_bad, length_huge;
    bool coding_chunked;  /* the only coding is exactly "chunked" */
    bool coding_repeated; /* "chunked" more than once */
    bool close, keep_alive, upgrade, websocket;
    bool expect_continue, expect_other;
};

static peal_err
refuse(struct peal_httphead *h, unsigned status, const char *why)
{
    h->status = status;
    h->why = why;
    return status == 413 || status == 414 || status == 431 ? PEAL_ELIMIT : PEAL_EPROTO;
}

static inline bool
is_class(char c, unsigned mask)
{
    return (class_of[(unsigned char)c] & mask) != 0;
}

/* The first byte at or after p that is not of the class. A CR, of no class, ends each
 * line of a complete head, so no bound is needed there. */
static inline const char *
skip_class(const char *p, unsigned mask)
{
    while (is_class(*p, mask))
        p++;
    return p;
}

static bool
all_class(struct peal_slice s, unsigned mask)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_class(s.data[i], mask))
            return false;
    return true;
}

static inline struct peal_slice
between(const char *from, const char *to)
{
    return (struct peal_slice){ from, (size_t)(to - from) };
}

/*
 * Finds the start and the end of the head in in. A line that ends in a bare LF is refused
 * as soon as it is seen: its sender may never send the CRLF that we would wait for.
 */
static peal_err
find_end(struct peal_slice in, const struct peal_httphead_limits *lim, size_t *scan,
    struct peal_httphead *h, size_t *start_out, size_t *end_out)
{
    size_t start = 0, window, at;

    /* A few empty lines are forgiven (section 2.2): old clients send one after a body. */
    while (start < 2 * EMPTY_LINES_MAX && in.len > start && in.data[start] == '\r') {
        if (in.len == start + 1)
            return PEAL_EAGAIN;
        if (in.data[start + 1] != '\n')
            return refuse(h, 400, "bare CR in request head");
        start += 2;
    }
    if (in.len == start)
        return PEAL_EAGAIN;
    if (!is_class(in.data[start], TOKEN))
        return refuse(h, 400, "request does not start with a method");
    window = in.len - start < lim->head_max ? in.len : start + lim->head_max;
    at = *scan > start ? *scan : start;

    /* The first time that more came than a request line may have. */
    if (at <= start + lim->line_max + 1 && window >= start + lim->line_max + 2 &&
        memchr(in.data + start, '\n', lim->line_max + 2) == NULL)
        return refuse(h, 414, "request line too long");

    while (at < window) {
        const char *lf = memchr(in.data + at, '\n', window - at);

        if (lf == NULL)
            break;
        if (lf[-1] != '\r')
            return refuse(h, 400, "line ends in LF without CR");
        at = (size_t)(lf - in.data) + 1;
        if (lf[-2] == '\n') {
            *start_out = start;
            *end_out = at;
            return PEAL_OK;
        }
    }
    if (in.len - start >= lim->head_max)
        return refuse(h, 431, "request head too large");
    *scan = window;
    return PEAL_EAGAIN;
}

/* Host and authority: uri-host [ ":" port ], RFC 9110 section 7.2. No user information,
 * no escapes, not empty. */
static bool
host_valid(struct peal_slice s)
{
    struct peal_hostport hp;
    uint16_t port;

    return peal_hostport_split(s, &hp) == PEAL_OK && hp.host.len > 0 &&
           all_class(hp.host, hp.brackets ? IPV6 : HOST) &&
           peal_hostport_port(&hp, 0, &port) == PEAL_OK;
}

static void
split_query(struct peal_slice s, struct peal_httphead *h)
{
    h->path = peal_slice_cut(&s, '?');
    h->query = s;
}

/* absolute-form (section 3.2.2): its authority replaces Host. */
static peal_err
read_absolute(struct peal_slice rest, bool options, struct peal_httphead *h)
{
    size_t n = 0;

    while (n < rest.len && rest.data[n] != '/' && rest.data[n] != '?')
        n++;
    h->host = (struct peal_slice){ rest.data, n };
    if (!host_valid(h->host))
        return refuse(h, 400, "bad authority in request target");
    rest.data += n;
    rest.len -= n;
    if (rest.len == 0) {
        h->path = options ? PEAL_S("*") : PEAL_S("/");
        return PEAL_OK;
    }
    split_query(rest, h);
    if (h->path.len == 0)
        h->path = PEAL_S("/");
    return PEAL_OK;
}

static peal_err
read_target(struct peal_httphead *h)
{
    struct peal_slice t = h->target;
    bool options = peal_slice_eq(h->method, PEAL_S("OPTIONS"));

    if (peal_slice_eq(h->method, PEAL_S("CONNECT")))
        return refuse(h, 405, "CONNECT is not allowed");
    if (t.data[0] == '/') {
        split_query(t, h);
        return PEAL_OK;
    }
    if (options && peal_slice_eq(t, PEAL_S("*"))) {
        h->path = t;
        return PEAL_OK;
    }
    if (t.len > 7 && peal_slice_ieq(peal_slice_of(t.data, 7), PEAL_S("http://")))
        return read_absolute(peal_slice_skip(t, 7), options, h);
    if (t.len > 8 && peal_slice_ieq(peal_slice_of(t.data, 8), PEAL_S("https://")))
        return read_absolute(peal_slice_skip(t, 8), options, h);
    return refuse(h, 400, "bad form of request target");
}

/* "HTTP/1.1" CR: exactly, in this case (RFC 9112 section 2.3). */
static peal_err
read_version(const char *p, struct peal_httphead *h)
{
    const char *cr = memchr(p, '\r', 9); /* an LF follows some CR: no bound is passed */

    if (cr == NULL || cr - p != 8 || memcmp(p, "HTTP/", 5) != 0 ||
        !peal_ascii_is_digit(p[5]) || p[6] != '.' || !peal_ascii_is_digit(p[7]))
        return refuse(h, 400, "bad version in request line");
    if (p[5] != '1' || p[7] > '1')
        return refuse(h, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    h->minor = (unsigned)(p[7] - '0');
    return PEAL_OK;
}

/* method SP request-target SP HTTP-version CRLF: single spaces, no others. */
static peal_err
read_request_line(const char **p_io, size_t line_max, struct peal_httphead *h)
{
    const char *p = *p_io, *start = p;
    peal_err err;

    p = skip_class(p, TOKEN);
    h->method = between(start, p);
    if (h->method.len == 0 || *p != ' ')
        return refuse(h, 400, "bad method in request line");
    h->target.data = ++p;
    p = skip_class(p, TARGET);
    h->target = between(h->target.data, p);
    if ((size_t)(p - start) > line_max)
        return refuse(h, 414, "request line too long");
    if (h->target.len == 0 || *p != ' ')
        return refuse(h, 400, "bad request target");
    if ((err = read_version(++p, h)) != PEAL_OK)
        return err;
    p += 8;
    if ((size_t)(p - start) > line_max)
        return refuse(h, 414, "request line too long");
    if (p[1] != '\n')
        return refuse(h, 400, "bare CR in request head");
    *p_io = p + 2;
    return read_target(h);
}

/* Digits only; a list or a sign is refused even where it could be understood. */
static void
see_length(struct peal_slice v, struct peal_httphead *h, struct seen *seen)
{
    uint64_t n = 0;

    seen->lengths++;
    for (size_t i = 0; i < v.len; i++)
        if (!peal_ascii_is_digit(v.data[i]))
            seen->length_bad = true;
    if (v.len == 0 || seen->length_bad)
        seen->length_bad = true;
    else if (peal_slice_u64(v, INT64_MAX, &n) != PEAL_OK)
        seen->length_huge = true;
    else
        h->content_length = (int64_t)n;
}

static void
see_coding(struct peal_slice v, struct seen *seen)
{
    struct peal_slice coding;
    unsigned chunked = 0;

    seen->codings++;
    seen->coding_chunked = peal_slice_ieq(v, PEAL_S("chunked"));
    while (peal_httphead_list_next(&v, &coding))
        chunked += peal_slice_ieq(coding, PEAL_S("chunked"));
    if (chunked > 1)
        seen->coding_repeated = true;
}

static void
see_connection(struct peal_slice v, struct seen *seen)
{
    struct peal_slice option;

    while (peal_httphead_list_next(&v, &option)) {
        if (peal_slice_ieq(option, PEAL_S("close")))
            seen->close = true;
        else if (peal_slice_ieq(option, PEAL_S("keep-alive")))
            seen->keep_alive = true;
        else if (peal_slice_ieq(option, PEAL_S("upgrade")))
            seen->upgrade = true;
    }
}

static void
see_expect(struct peal_slice v, struct seen *seen)
{
    if (peal_slice_ieq(v, PEAL_S("100-continue")))
        seen->expect_continue = true;
    else
        seen->expect_other = true;
}

/* The length tells the few names that matter here from nearly all others. */
static void
see_field(const struct peal_httphead_field *f, struct peal_httphead *h, struct seen *seen)
{
    switch (f->name.len) {
    case 4:
        if (peal_slice_ieq(f->name, PEAL_S("host")) && seen->hosts++ == 0 &&
            h->host.data == NULL)
            h->host = f->value;
        break;
    case 6:
        if (peal_slice_ieq(f->name, PEAL_S("expect")))
            see_expect(f->value, seen);
        break;
    case 7:
        if (peal_slice_ieq(f->name, PEAL_S("upgrade")) &&
            peal_httphead_has_token(f->value, PEAL_S("websocket")))
            seen->websocket = true;
        break;
    case 10:
        if (peal_slice_ieq(f->name, PEAL_S("connection")))
            see_connection(f->value, seen);
        break;
    case 14:
        if (peal_slice_ieq(f->name, PEAL_S("content-length")))
            see_length(f->value, h, seen);
        break;
    case 16:
        if (peal_slice_ieq(f->name, PEAL_S("content-encoding")) &&
            !peal_slice_ieq(f->value, PEAL_S("identity")))
            h->content_coded = true;
        break;
    case 17:
        if (peal_slice_ieq(f->name, PEAL_S("transfer-encoding")))
            see_coding(f->value, seen);
        break;
    default:
        break;
    }
}

/* field-name ":" OWS field-value OWS CRLF (RFC 9112 section 5). */
static peal_err
read_field(const char **p_io, struct peal_httphead *h, struct peal_httphead_field *f)
{
    const char *p = *p_io, *end;

    if (*p == ' ' || *p == '\t')
        return refuse(h, 400, "folded header line");
    f->name.data = p;
    p = skip_class(p, TOKEN);
    f->name = between(f->name.data, p);
    if (*p != ':')
        return refuse(h, 400,
            *p == ' ' || *p == '\t' ? "space before the colon of a header"
                                    : "bad header name");
    if (f->name.len == 0)
        return refuse(h, 400, "empty header name");
    do
        p++;
    while (*p == ' ' || *p == '\t');
    end = skip_class(p, VALUE);
    if (end[0] != '\r' || end[1] != '\n')
        return refuse(h, 400, "control character in a header value");
    *p_io = end + 2;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    f->value = between(p, end);
    return PEAL_OK;
}

static peal_err
read_fields(const char *p, const char *end, const struct peal_httphead_limits *lim,
    struct peal_httphead *h, struct seen *seen)
{
    while (p < end) {
        struct peal_httphead_field *f = &h->headers[h->n_headers];
        peal_err err;

        if (h->n_headers >= lim->headers_max || h->n_headers >= PEAL_HTTP_HEADERS_MAX)
            return refuse(h, 431, "too many headers");
        if ((err = read_field(&p, h, f)) != PEAL_OK)
            return err;
        h->n_headers++;
        see_field(f, h, seen);
    }
    return PEAL_OK;
}

/* Which bytes are body: RFC 9112 section 6.3, every doubt refused. */
static peal_err
judge_framing(struct peal_httphead *h, const struct seen *seen)
{
    if (seen->lengths > 1)
        return refuse(h, 400, "more than one Content-Length");
    if (seen->length_bad)
        return refuse(h, 400, "bad Content-Length");
    if (seen->codings > 0 && seen->lengths > 0)
        return refuse(h, 400, "Transfer-Encoding together with Content-Length");
    if (seen->codings > 0 && h->minor == 0)
        return refuse(h, 400, "Transfer-Encoding in HTTP/1.0");
    if (seen->codings > 1 || seen->coding_repeated)
        return refuse(h, 400, "more than one Transfer-Encoding");
    if (seen->codings > 0 && !seen->coding_chunked)
        return refuse(h, 501, "the only transfer coding is chunked");
    if (seen->length_huge)
        return refuse(h, 413, "body too large");
    h->chunked = seen->codings > 0;
    return PEAL_OK;
}

static peal_err
judge(struct peal_httphead *h, const struct seen *seen)
{
    bool body;
    peal_err err;

    if ((err = judge_framing(h, seen)) != PEAL_OK)
        return err;
    if (seen->hosts > 1)
        return refuse(h, 400, "more than one Host");
    if (seen->hosts == 0 && h->minor == 1)
        return refuse(h, 400, "no Host");
    if (seen->hosts == 1) {
        struct peal_slice host = peal_httphead_get(h, PEAL_S("host"));

        /* An empty one is a client's whose URI has no authority (section 3.2). */
        if (host.len > 0 && !host_valid(host))
            return refuse(h, 400, "bad Host");
    }
    /* RFC 9110 section 10.1.1: an expectation from HTTP/1.0 is ignored. */
    if (seen->expect_other && h->minor == 1)
        return refuse(h, 417, "the only expectation is 100-continue");
    body = h->chunked || h->content_length > 0;
    h->expect_continue = seen->expect_continue && h->minor == 1 && body;
    h->keep_alive = !seen->close && (h->minor == 1 || seen->keep_alive);
    h->upgrade_websocket = seen->upgrade && seen->websocket && h->minor == 1 && !body;
    return PEAL_OK;
}

peal_err
peal_httphead_parse(struct peal_slice in, const struct peal_httphead_limits *lim,
    size_t *scan, struct peal_httphead *h, size_t *used_out)
{
    struct seen seen = { 0 };
    size_t start, end, unused = 0;
    const char *p;
    peal_err err;

    memset(h, 0, offsetof(struct peal_httphead, headers));
    h->content_length = -1;
    if (lim == NULL)
        lim = &peal_httphead_limits_default;
    if ((err = find_end(in, lim, scan ? scan : &unused, h, &start, &end)) != PEAL_OK)
        return err;
    p = in.data + start;
    if ((err = read_request_line(&p, lim->line_max, h)) != PEAL_OK ||
        (err = read_fields(p, in.data + end - 2, lim, h, &seen)) != PEAL_OK ||
        (err = judge(h, &seen)) != PEAL_OK)
        return err;
    *used_out = end;
    return PEAL_OK;
}

bool
peal_httphead_next(const struct peal_httphead *h, struct peal_slice name, unsigned *i,
    struct peal_slice *value_out)
{
    while (*i < h->n_headers) {
        const struct peal_httphead_field *f = &h->headers[(*i)++];

        if (peal_slice_ieq(f->name, name)) {
            *value_out = f->value;
            return true;
        }
    }
    return false;
}

struct peal_slice
peal_httphead_get(const struct peal_httphead *h, struct peal_slice name)
{
    struct peal_slice value = { NULL, 0 };
    unsigned i = 0;

    peal_httphead_next(h, name, &i, &value);
    return value;
}

bool
peal_httphead_is_token(struct peal_slice s)
{
    return s.len > 0 && all_class(s, TOKEN);
}
