/* SPDX-License-Identifier: MIT */
/*
 * One HTTP request on a loop that runs for it alone, by the same dialling, connections
 * and TLS that a node uses. It is HTTP/1.0, so that the answer ends with the connection
 * and is never chunked.
 *
 * The steps: cut the server's address, dial, perhaps shake hands, send, collect until the
 * other side closes. A timer is armed again with each sign of life.
 */
#include "cli/http_call_priv.h"

#include <string.h>
#include <unistd.h>

#include "base/writer.h"
#include "io/conn.h"
#include "io/dial.h"
#include "io/tls.h"
#include "wire/hostport.h"

#define QUEUE_EXTRA 65536 /* bytes that may wait besides the body */

/* A request on its way. */
struct http_call {
    const struct peal_http_call *spec;
    struct peal_loop *loop;
    struct peal_timer timer;
    struct peal_dial *dial;
    struct peal_conn *conn;
    struct peal_tls_ctx *tls;  /* NULL: plain */
    struct peal_buf host;      /* to dial: a name, an address or a path; with a zero */
    struct peal_buf authority; /* for the field Host */
    uint16_t port;
    struct peal_buf in;
    struct peal_buf *why;
    peal_err err;
};

static PEAL_PRINTF(3, 4) peal_err
    fail_with(struct http_call *c, peal_err err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (peal_buf_vprintf(c->why, fmt, ap) != PEAL_OK)
        err = PEAL_ENOMEM;
    va_end(ap);
    return err;
}

/* The server that is called. */

static peal_err
read_unix(struct http_call *c)
{
    const char *path = c->spec->server + sizeof("unix:") - 1;

    if (path[0] != '/')
        return fail_with(c, PEAL_EINVAL, "%s: expected unix:/path", c->spec->server);
    if (peal_buf_printf(&c->host, "%s%c", path, 0) != PEAL_OK ||
        peal_buf_printf(&c->authority, "localhost") != PEAL_OK)
        return PEAL_ENOMEM;
    return PEAL_OK;
}

static peal_err
read_url(struct http_call *c)
{
    struct peal_slice url = peal_slice_str(c->spec->server), rest, authority;
    bool https = peal_slice_starts(url, PEAL_S("https://"));
    struct peal_hostport hp;

    rest = peal_slice_skip(url, https ? 8 : 7);
    authority = peal_slice_cut(&rest, '/');
    if ((!https && !peal_slice_starts(url, PEAL_S("http://"))) || rest.len > 0 ||
        peal_hostport_split(authority, &hp) != PEAL_OK || hp.host.len == 0 ||
        (hp.port.data != NULL && hp.port.len == 0) ||
        peal_hostport_port(&hp, https ? 443 : 80, &c->port) != PEAL_OK ||
        strpbrk(c->spec->server, " \t\r\n@?#") != NULL)
        return fail_with(c, PEAL_EINVAL,
            "%s: expected http://host:port, https://host:port or unix:/path",
            c->spec->server);
    if (peal_buf_printf(&c->host, "%.*s%c", PEAL_ARG(hp.host), 0) != PEAL_OK ||
        peal_buf_add_slice(&c->authority, authority) != PEAL_OK)
        return PEAL_ENOMEM;
    if (https && peal_tls_client_ctx_new(
                     c->spec->ca, NULL, NULL, true, &c->tls, c->why) != PEAL_OK)
        return PEAL_EINVAL;
    return PEAL_OK;
}

/* The connection. */

static void
finish(struct http_call *c, peal_err err)
{
    c->err = err;
    peal_timer_stop(&c->timer);
    peal_loop_stop(c->loop);
}

static void
call_on_timeout(struct peal_timer *t)
{
    struct http_call *c = PEAL_CONTAINER(t, struct http_call, timer);

    finish(c, fail_with(c, PEAL_ETIMEOUT, "%s: no answer in %d seconds", c->spec->server,
                  PEAL_HTTP_CALL_TIMEOUT_S));
}

static void
arm(struct http_call *c)
{
    peal_loop_start(c->loop, &c->timer, PEAL_HTTP_CALL_TIMEOUT_S * 1000);
}

static size_t
call_on_data(struct peal_conn *conn, uint8_t *data, size_t len)
{
    struct http_call *c = peal_conn_owner(conn);

    arm(c);
    if (c->in.len + len > PEAL_HTTP_CALL_ANSWER_MAX)
        finish(c, fail_with(c, PEAL_ELIMIT, "the answer is too large"));
    else if (peal_buf_add(&c->in, data, len) != PEAL_OK)
        finish(c, PEAL_ENOMEM);
    return len;
}

static void
call_on_closed(struct peal_conn *conn, enum peal_close why)
{
    struct http_call *c = peal_conn_owner(conn);
    const char *tls_why = peal_loop_take_tls_why(c->loop);

    c->conn = NULL;
    if (tls_why != NULL || why != PEAL_CLOSE_PEER)
        finish(c, fail_with(c, PEAL_EIO, "%s: %s", c->spec->server,
                      tls_why != NULL ? tls_why : "the connection was lost"));
    else
        finish(c, PEAL_OK); /* the end of the answer, if there is one */
}

static const struct peal_conn_ops call_conn_ops = { .data = call_on_data,
    .closed = call_on_closed };

static peal_err
send_request(struct http_call *c)
{
    const struct peal_http_call *spec = c->spec;
    struct peal_buf out = { 0 };
    struct peal_writer w = peal_writer_on(&out);
    peal_err err;

    peal_writer_printf(&w, "POST %s HTTP/1.0\r\nHost: %.*s\r\n", spec->path,
        PEAL_ARG(peal_buf_slice(&c->authority)));
    peal_writer_puts(&w, "Content-Type: application/json\r\n");
    peal_writer_printf(&w, "Content-Length: %zu\r\n", spec->body.len);
    if (spec->key != NULL)
        peal_writer_printf(&w, "Authorization: Bearer %s\r\n", spec->key);
    peal_writer_puts(&w, "\r\n");
    peal_writer_put(&w, spec->body);
    err = peal_writer_end(&w);
    if (err == PEAL_OK && !peal_conn_send_bytes(c->conn, peal_buf_slice(&out)))
        err = PEAL_ENOMEM;
    peal_buf_fini(&out);
    return err;
}

static void
call_on_dialled(void *arg, peal_err err, int fd)
{
    struct http_call *c = arg;

    c->dial = NULL;
    if (err != PEAL_OK) {
        finish(c, fail_with(c, err, "%s: %s", c->spec->server,
                      err == PEAL_ENOTFOUND  ? "the host is not known"
                      : err == PEAL_ETIMEOUT ? "timed out"
                                             : "cannot connect"));
        return;
    }
    if ((err = peal_conn_new(
             c->loop, fd, PEAL_CONN_INNER, &call_conn_ops, c, &c->conn)) != PEAL_OK)
        close(fd);
    if (err == PEAL_OK && c->tls != NULL)
        err = peal_conn_start_tls_client(c->conn, c->tls, c->host.data);
    if (err == PEAL_OK)
        err = send_request(c);
    if (err != PEAL_OK)
        finish(c, err);
    else
        arm(c);
}

/* "HTTP/1.1 200 OK", fields, an empty line, the body. */
static peal_err
parse_answer(struct http_call *c, unsigned *status_out, struct peal_buf *answer)
{
    struct peal_slice in = peal_buf_slice(&c->in);
    const char *end;
    uint64_t status;

    if (in.data == NULL || in.len < 12 ||
        (end = memmem(in.data, in.len, "\r\n\r\n", 4)) == NULL ||
        !peal_slice_starts(in, PEAL_S("HTTP/1.")) ||
        peal_slice_u64(peal_slice_of(in.data + 9, 3), 999, &status) != PEAL_OK)
        return fail_with(c, PEAL_EPROTO, "%s",
            in.len == 0 ? "the connection was closed without an answer"
                        : "the answer is not HTTP");
    *status_out = (unsigned)status;
    return peal_buf_add_slice(answer, peal_slice_skip(in, (size_t)(end - in.data) + 4));
}

static peal_err
run(struct http_call *c)
{
    struct peal_log quiet = { .fd = STDERR_FILENO, .level = -1 };
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL,
        .queue_bytes_max = c->spec->body.len + QUEUE_EXTRA,
        .queue_age_ms = PEAL_HTTP_CALL_TIMEOUT_S * 1000,
        .log = &quiet };
    peal_err err = peal_loop_new(&config, &c->loop);

    if (err != PEAL_OK)
        return err;
    c->timer.fn = call_on_timeout;
    err = peal_dial(c->loop, c->host.data, c->port, PEAL_HTTP_CALL_TIMEOUT_S * 1000,
        call_on_dialled, c, &c->dial);
    if (err == PEAL_OK) {
        peal_loop_run(c->loop);
        err = c->err;
    } else if (err == PEAL_EINVAL) {
        err = fail_with(c, err, "%s: the path is too long", c->spec->server);
    }
    peal_timer_stop(&c->timer);
    peal_loop_free(&c->loop);
    return err;
}

peal_err
peal_http_call(const struct peal_http_call *spec, unsigned *status_out,
    struct peal_buf *answer, struct peal_buf *why)
{
    struct http_call c = { .spec = spec, .why = why };
    peal_err err = strncmp(spec->server, "unix:", 5) == 0 ? read_unix(&c) : read_url(&c);

    if (err == PEAL_OK)
        err = run(&c);
    if (err == PEAL_OK)
        err = parse_answer(&c, status_out, answer);
    peal_tls_ctx_release(c.tls);
    peal_buf_fini(&c.host);
    peal_buf_fini(&c.authority);
    peal_buf_fini(&c.in);
    return err;
}
