/* SPDX-License-Identifier: MIT */
/*
 * Answers of handlers. The head is built in one buffer, from the fields that the handler
 * has added, those that the server adds for itself (Date, Connection) and the length; a
 * shared body follows by reference, without a copy. Everything is appended to the
 * connection's output queue and leaves at the end of the turn. An answer moves the
 * request's state on (http.c), and says whether the connection may serve another one.
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "http/http_priv.h"

/* Bytes of a usual head, taken at once: a buffer that grows while a session is being made
 * leaves holes between the sessions, which nothing else fits into. */
#define HEAD_USUAL 512

void
peal_http_add(struct peal_http *req, const char *name, const char *fmt, ...)
{
    struct peal_http_conn *h = peal_http_conn_of(req);
    va_list ap;
    peal_err err;

    va_start(ap, fmt);
    if ((err = peal_buf_printf(&h->headers, "%s: ", name)) == PEAL_OK &&
        (err = peal_buf_vprintf(&h->headers, fmt, ap)) == PEAL_OK)
        err = peal_buf_add(&h->headers, "\r\n", 2);
    va_end(ap);
    if (err != PEAL_OK) /* a field may be half there: the answer would be a wrong one */
        h->no_memory = 1;
}

static const char *
date(struct peal_http_server *s)
{
    int64_t now = (int64_t)time(NULL);

    if (now != s->date_s) {
        s->date_s = now;
        peal_httphead_date(now, s->date);
    }
    return s->date;
}

static peal_err
put_head(
    struct peal_http_conn *h, struct peal_buf *out, unsigned status, const char *type)
{
    peal_err err = h->no_memory ? PEAL_ENOMEM : peal_buf_reserve(out, HEAD_USUAL);

    if (err == PEAL_OK)
        err = peal_buf_printf(out, "HTTP/1.1 %u %s\r\nDate: %s\r\n", status,
            peal_httphead_reason(status), date(h->server));
    if (err == PEAL_OK && type != NULL)
        err = peal_buf_printf(out, "Content-Type: %s\r\n", type);
    if (err == PEAL_OK)
        err = peal_buf_add(out, h->headers.data, h->headers.len);
    peal_buf_fini(&h->headers);
    return err;
}

static peal_err
put_framing(
    struct peal_http_conn *h, struct peal_buf *out, unsigned status, size_t body_len)
{
    const char *connection = !h->keep_alive      ? "Connection: close\r\n"
                             : h->req.minor == 0 ? "Connection: keep-alive\r\n"
                                                 : "";
    peal_err err = PEAL_OK;

    if (status != 204 && status != 304)
        err = peal_buf_printf(out, "Content-Length: %zu\r\n", body_len);
    if (err == PEAL_OK)
        err = peal_buf_printf(out, "%s\r\n", connection);
    return err;
}

/* The request is answered: close, or wait for the next one. */
static void
finish(struct peal_http_conn *h)
{
    h->req.gone = NULL;
    if (h->state == PEAL_HTTP_READING_BODY || h->state == PEAL_HTTP_DEFERRED)
        h->keep_alive = 0; /* the rest of the request is not read */
    if (!h->keep_alive) {
        peal_conn_finish(h->conn, PEAL_CLOSE_LOCAL);
        peal_http_release(h, PEAL_HTTP_DEAD);
        return;
    }
    peal_http_set_state(h, PEAL_HTTP_READING_HEAD);
    peal_http_arm(h, h->server->config->idle_timeout_ms);
    peal_conn_read_again(h->conn);
}

static void
reply(struct peal_http_conn *h, unsigned status, const char *type, struct peal_slice body,
    struct peal_blob *blob)
{
    struct peal_buf out = { 0 };
    size_t len = blob != NULL ? blob->len : body.len;
    bool with_body = !h->req.is_head && status != 204 && status != 304;
    peal_err err = put_head(h, &out, status, type);

    if (err == PEAL_OK)
        err = put_framing(h, &out, status, len);
    if (err == PEAL_OK && with_body && blob == NULL)
        err = peal_buf_add_slice(&out, body);
    if (err != PEAL_OK) {
        peal_buf_fini(&out);
        peal_http_close(&h->req, PEAL_CLOSE_MEMORY);
        return;
    }
    peal_conn_send_bytes(h->conn, peal_buf_slice(&out));
    if (with_body && blob != NULL)
        peal_conn_send(h->conn, blob, 0);
    peal_buf_fini(&out);
    finish(h);
}

void
peal_http_reply(
    struct peal_http *req, unsigned status, const char *type, struct peal_slice body)
{
    reply(peal_http_conn_of(req), status, type, body, NULL);
}

void
peal_http_reply_blob(
    struct peal_http *req, unsigned status, const char *type, struct peal_blob *body)
{
    reply(peal_http_conn_of(req), status, type, peal_slice_of(NULL, 0), body);
}

void
peal_http_close_after(struct peal_http *req)
{
    peal_http_conn_of(req)->keep_alive = 0;
}

void
peal_http_refuse(
    struct peal_http *req, unsigned status, const char *type, struct peal_slice body)
{
    peal_http_conn_of(req)->keep_alive = 0;
    reply(peal_http_conn_of(req), status, type, body, NULL);
}

void
peal_http_not_found(struct peal_http *req, void *ctx)
{
    if (peal_slice_eq(req->head->path, PEAL_S("*"))) { /* OPTIONS, about the server */
        peal_http_add(req, "Allow", "GET, HEAD, POST, OPTIONS");
        peal_http_reply(req, 204, NULL, PEAL_S(""));
        return;
    }
    peal_http_reply(req, 404, "text/plain", PEAL_S("there is nothing here\n"));
}

struct peal_conn *
peal_http_hijack(struct peal_http *req, unsigned status, const char *type,
    const struct peal_conn_ops *ops, void *owner)
{
    struct peal_http_conn *h = peal_http_conn_of(req);
    struct peal_conn *c = h->conn;
    struct peal_buf out = { 0 };
    peal_err err = put_head(h, &out, status, type);

    if (err == PEAL_OK)
        err = peal_buf_add_slice(&out,
            status == 101 ? PEAL_S("Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
                          : PEAL_S("Connection: close\r\n\r\n"));
    if (err != PEAL_OK || !peal_conn_send_bytes(c, peal_buf_slice(&out))) {
        peal_buf_fini(&out);
        peal_http_close(req, PEAL_CLOSE_MEMORY);
        return NULL;
    }
    peal_buf_fini(&out);
    return peal_http_hand_over(req, ops, owner);
}

struct peal_conn *
peal_http_hand_over(struct peal_http *req, const struct peal_conn_ops *ops, void *owner)
{
    struct peal_http_conn *h = peal_http_conn_of(req);
    struct peal_conn *c = h->conn;

    h->req.gone = NULL;
    peal_http_release(h, PEAL_HTTP_HIJACKED);
    peal_conn_set_owner(c, ops, owner);
    peal_conn_read_again(c);
    return c;
}
