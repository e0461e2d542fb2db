/* SPDX-License-Identifier: MIT */
/*
 * Forwarding. A request waits, held, until the other node is dialled; if that fails it is
 * read again, and answered here. Else its connection leaves HTTP and is joined to the
 * one of the other node: whatever one side says is queued for the other. A side whose
 * words wait in a full queue is not listened to until they are gone.
 *
 * A node that leaves must not lose an answer that is on its way through it: the balancer
 * would ask again elsewhere, and the client never know. So the other node is told that no
 * more will come, and what it has said until it closes, as it does then, is passed on.
 */
#include "http/forward.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "http/forwarded_priv.h"
#include "io/dial.h"

#define QUEUE_MAX (128 * 1024) /* bytes that wait for one side */

struct peal_forward {
    struct peal_http_attached attached; /* to the server, once joined */
    struct peal_http_server *server;
    struct peal_http *h; /* NULL: joined */
    struct peal_http_forward_to to;
    char secret[PEAL_FORWARD_SECRET_MAX + 1];
    size_t line_len; /* bytes of the client's that are sent already: the request line */
    struct peal_dial *dial;
    struct peal_conn *client, *owner; /* NULL: not joined yet, or not any more */
    struct peal_timer idle;
    bool leaving; /* waits for the owner to close */
};

static struct peal_loop *
loop_of(const struct peal_forward *f)
{
    return peal_http_server_loop(f->server);
}

/* f may be on the stack. */
static void
forward_release(struct peal_forward *f)
{
    peal_dial_cancel(&f->dial);
    peal_timer_stop(&f->idle);
    peal_list_unlink(&f->attached.link);
    f->client = f->owner = NULL;
    peal_loop_free_later(loop_of(f), free, f);
}

/* Closes both sides. Output that is queued for one that is still connected goes first. */
static void
part(struct peal_forward *f, enum peal_close why)
{
    if (f->client != NULL)
        peal_conn_finish(f->client, why);
    if (f->owner != NULL)
        peal_conn_finish(f->owner, why);
    forward_release(f);
}

/*
 * Takes from one side what the other one's queue has room for. Bytes that it has no room
 * for stay where they are, and more is not read, until the queue is empty again.
 */
static size_t
pass(struct peal_forward *f, struct peal_conn *from, struct peal_conn *to,
    const uint8_t *data, size_t len)
{
    size_t limit = peal_loop_queue_max(loop_of(f)), at = 0;

    if (limit > QUEUE_MAX)
        limit = QUEUE_MAX;
    while (at < len) {
        size_t queued = peal_conn_queued(to) + PEAL_CONN_ITEM_COST, n = len - at;

        if (queued >= limit) {
            if (peal_conn_ready(to))
                peal_conn_flush(to); /* takes all, or else tells when it has */
            if (f->client == NULL)
                return at;
            if (!peal_conn_ready(to)) {
                peal_conn_pause(from);
                return at;
            }
            continue;
        }
        if (n > limit - queued)
            n = limit - queued;
        if (!peal_conn_send_bytes(to, peal_slice_of(data + at, n)))
            return at; /* out of memory: it is closed at the end of the turn */
        at += n;
    }
    if (peal_conn_is_paused(from))
        peal_conn_resume(from);
    return at;
}

static size_t
client_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct peal_forward *f = peal_conn_owner(c);
    size_t sent = f->line_len;

    if (f->leaving)
        return 0;
    f->line_len = 0;
    return sent + pass(f, c, f->owner, data + sent, len - sent);
}

static void
client_closed(struct peal_conn *c, enum peal_close why)
{
    struct peal_forward *f = peal_conn_owner(c);

    f->client = NULL;
    part(f, PEAL_CLOSE_LOCAL);
}

static void
client_drained(struct peal_conn *c)
{
    peal_conn_read_again(((struct peal_forward *)peal_conn_owner(c))->owner);
}

static const struct peal_conn_ops client_ops = {
    .data = client_data, .closed = client_closed, .drained = client_drained
};

static void
wait_for_owner(struct peal_forward *f)
{
    peal_loop_start(loop_of(f), &f->idle, f->to.idle_timeout_ms);
}

static size_t
owner_data(struct peal_conn *c, uint8_t *data, size_t len)
{
    struct peal_forward *f = peal_conn_owner(c);

    wait_for_owner(f);
    return pass(f, c, f->client, data, len);
}

static void
owner_closed(struct peal_conn *c, enum peal_close why)
{
    struct peal_forward *f = peal_conn_owner(c);

    f->owner = NULL;
    part(f, PEAL_CLOSE_LOCAL);
}

static void
owner_drained(struct peal_conn *c)
{
    struct peal_forward *f = peal_conn_owner(c);

    if (f->leaving)
        peal_conn_shutdown(c);
    else
        peal_conn_read_again(f->client);
}

static const struct peal_conn_ops owner_ops = {
    .data = owner_data, .closed = owner_closed, .drained = owner_drained
};

static void
forward_on_idle(struct peal_timer *t)
{
    struct peal_forward *f = PEAL_CONTAINER(t, struct peal_forward, idle);

    if (peal_conn_is_paused(
            f->owner)) /* it is the client that is slow: its queue has an age limit */
        wait_for_owner(f);
    else
        part(f, PEAL_CLOSE_TIMEOUT);
}

/* Instead of the route's begin: the other node could not be reached. */
static void
forward_failed(struct peal_http *h, void *ctx)
{
    struct peal_forward *f = ctx;

    f->to.failed(h, f->to.ctx);
    forward_release(f);
}

static void
forward_dropped(void *ctx)
{
    forward_release(ctx);
}

/* The client has left while the other node was dialled. */
static void
forward_on_gone(struct peal_http *h)
{
    forward_release(h->user);
}

/* Cannot be forwarded: read again, the request is answered by failed. */
static void
give_up(struct peal_forward *f, const char *why)
{
    const struct peal_http_resumed to = { forward_failed, forward_dropped, f };

    peal_stat_add(peal_loop_stats(loop_of(f)), PEAL_STAT_FORWARD_FAILED, 1);
    peal_log(peal_loop_log(loop_of(f)), PEAL_LOG_DEBUG, "cannot forward a request",
        "why=\"%s\"", why);
    peal_http_resume_to(f->h, &to);
}

/* The request line, and the line that this is all about. */
static bool
send_first(struct peal_forward *f, struct peal_conn *owner)
{
    struct peal_buf first = { 0 };
    char client[PEAL_ADDR_TEXT_MAX];
    bool ok;

    peal_addr_format_ip(&f->h->client, client);
    ok = peal_buf_add(&first, peal_conn_unread(peal_http_conn(f->h)).data, f->line_len) ==
             PEAL_OK &&
         peal_buf_printf(&first, PEAL_FORWARD_FIELD ": %s %s %s\r\n", f->secret, client,
             f->h->secure ? "https" : "http") == PEAL_OK &&
         peal_conn_send_bytes(owner, peal_buf_slice(&first));
    peal_buf_fini(&first);
    return ok;
}

static void
forward_on_dialled(void *arg, peal_err err, int fd)
{
    struct peal_forward *f = arg;
    struct peal_http *h = f->h;
    struct peal_conn *owner;

    f->dial = NULL;
    if (err == PEAL_OK && (err = peal_conn_new(loop_of(f), fd, PEAL_CONN_INNER,
                               &owner_ops, f, &owner)) != PEAL_OK)
        close(fd);
    if (err != PEAL_OK) {
        give_up(f, peal_err_text(err));
        return;
    }
    if (!send_first(f, owner)) {
        peal_conn_close(owner, PEAL_CLOSE_ERROR);
        give_up(f, peal_err_text(PEAL_ENOMEM));
        return;
    }
    peal_stat_add(peal_loop_stats(loop_of(f)), PEAL_STAT_FORWARDED, 1);
    f->h = NULL;
    f->owner = owner;
    f->client = peal_http_hand_over(h, &client_ops, f);
    peal_list_append(peal_http_server_attached(f->server), &f->attached.link);
    wait_for_owner(f);
}

static void
forward_close(struct peal_http_attached *a)
{
    struct peal_forward *f = PEAL_CONTAINER(a, struct peal_forward, attached);

    peal_conn_close(f->client, PEAL_CLOSE_LOCAL);
    peal_conn_close(f->owner, PEAL_CLOSE_LOCAL);
    forward_release(f);
}

static peal_err
start(struct peal_http *h, const struct peal_http_forward_to *to)
{
    struct peal_forward *f = calloc(1, sizeof(*f));
    peal_err err;

    if (f == NULL)
        return PEAL_ENOMEM;
    f->server = peal_http_server_of(h);
    f->attached.close = forward_close;
    f->h = h;
    f->to = *to;
    f->to.host = f->to.secret = NULL; /* theirs is not kept */
    memcpy(f->secret, to->secret, strlen(to->secret));
    f->line_len = peal_http_line_len(h);
    f->idle.fn = forward_on_idle;
    err = peal_dial(loop_of(f), to->host, to->port, to->connect_timeout_ms,
        forward_on_dialled, f, &f->dial);
    if (err != PEAL_OK) {
        free(f);
        return err;
    }
    h->user = f;
    h->gone = forward_on_gone;
    return PEAL_OK;
}

void
peal_http_forward(struct peal_http *h, const struct peal_http_forward_to *to)
{
    struct peal_loop *loop = peal_http_server_loop(peal_http_server_of(h));

    PEAL_ASSERT(!h->forwarded);
    PEAL_ASSERT(strlen(to->secret) >= 8 && strlen(to->secret) <= PEAL_FORWARD_SECRET_MAX);
    if (start(h, to) == PEAL_OK) {
        peal_http_defer(h);
        return;
    }
    peal_stat_add(peal_loop_stats(loop), PEAL_STAT_FORWARD_FAILED, 1);
    to->failed(h, to->ctx);
}

static void
forward_leave(struct peal_forward *f)
{
    f->leaving = true;
    peal_conn_pause(f->client);
    peal_conn_flush(f->owner);
    if (f->client != NULL && peal_conn_ready(f->owner))
        peal_conn_shutdown(f->owner); /* else once all is written, see owner_drained */
}

unsigned
peal_http_forwards_drain(struct peal_http_server *s, unsigned n)
{
    struct peal_link *all = peal_http_server_attached(s), *l, *next;
    unsigned left = 0;

    for (l = all->next; l != all; l = next) {
        struct peal_forward *f = PEAL_CONTAINER(l, struct peal_forward, attached.link);

        next = l->next;
        if (f->leaving)
            continue;
        if (n > 0) {
            n--;
            forward_leave(f);
        } else {
            left++;
        }
    }
    return left;
}
