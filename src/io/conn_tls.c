/* SPDX-License-Identifier: MIT */
/*
 * Connections: TLS handshakes. To begin one costs the most that a newcomer can, so those
 * of clients begin only while the turn has time for newcomers (base/pace.h); the others
 * wait in order, and are not watched meanwhile. One that has begun goes on at once.
 */
#include "io/conn_priv.h"

static void
shake_hands(struct peal_conn *c)
{
    const char *why;
    int r = peal_ssl_handshake(c->ssl, &why);

    c->tls_want_write = r == PEAL_IO_WANT_WRITE;
    if (r == PEAL_IO_AGAIN || r == PEAL_IO_WANT_WRITE) {
        peal_conn_watch(c);
        return;
    }
    peal_stat_add(
        peal_conn_stats(c), r == 1 ? PEAL_STAT_TLS_HANDSHAKES : PEAL_STAT_TLS_FAILED, 1);
    if (r != 1) {
        if (peal_ssl_is_client(c->ssl)) /* the one that dialled wants to know */
            peal_conn_loop_of(c)->tls_why = why;
        peal_conn_die(c, PEAL_CLOSE_ERROR);
        return;
    }
    if (peal_ssl_is_resumed(c->ssl))
        peal_stat_add(peal_conn_stats(c), PEAL_STAT_TLS_RESUMED, 1);
    peal_conn_set_state(c, PEAL_CONN_OPEN);
    if (c->out != NULL)
        peal_conn_mark_dirty(c);
    peal_conn_watch(c);
    if (peal_conn_reads(c))
        peal_conn_read(c);
}

/* Must c wait, because there is no time for it in this turn, or others wait? */
static bool
must_wait(struct peal_conn *c)
{
    struct peal_loop *l = peal_conn_loop_of(c);

    if (l->pace.lag_ns == 0 ||
        (l->n_handshakes == 0 && peal_pace_try(&l->pace, uv_hrtime())))
        return false;
    uv_poll_stop(&c->poll);
    c->events = 0;
    c->tls_waits = 1;
    peal_list_unlink(&c->unread); /* a handshake ends with reading anyway */
    peal_list_append(&l->handshakes, &c->unread);
    l->n_handshakes++;
    peal_stat_add(&l->stats, PEAL_STAT_TLS_DEFERRED, 1);
    return true;
}

void
peal_conn_stop_waiting(struct peal_conn *c)
{
    struct peal_loop *l = peal_conn_loop_of(c);

    if (!c->tls_waits)
        return;
    PEAL_ASSERT(l->n_handshakes > 0);
    c->tls_waits = 0;
    peal_list_unlink(&c->unread);
    l->n_handshakes--;
}

void
peal_conn_begin_handshakes(struct peal_loop *l)
{
    while (l->n_handshakes > 0 && peal_pace_try(&l->pace, uv_hrtime())) {
        struct peal_conn *c =
            PEAL_CONTAINER(l->handshakes.next, struct peal_conn, unread);

        peal_conn_stop_waiting(c);
        shake_hands(c);
    }
}

void
peal_conn_on_handshake(struct peal_conn *c, int status)
{
    if (status < 0 || peal_ssl_has_begun(c->ssl) || !must_wait(c))
        shake_hands(c);
}

peal_err
peal_conn_start_tls(struct peal_conn *c, struct peal_tls_ctx *ctx)
{
    PEAL_ASSERT(c->ssl == NULL);
    if ((c->ssl = peal_ssl_new(ctx, c->fd)) == NULL)
        return PEAL_ENOMEM;
    peal_conn_set_state(c, PEAL_CONN_HANDSHAKE);
    return PEAL_OK;
}

peal_err
peal_conn_start_tls_client(
    struct peal_conn *c, struct peal_tls_ctx *ctx, const char *server_name)
{
    PEAL_ASSERT(c->ssl == NULL && !c->stalled);
    if ((c->ssl = peal_ssl_new_client(ctx, c->fd, server_name)) == NULL)
        return PEAL_ENOMEM;
    peal_list_unlink(&c->dirty);
    peal_conn_set_state(c, PEAL_CONN_HANDSHAKE);
    c->tls_want_write = 1; /* it is ours to begin */
    peal_conn_watch(c);
    return PEAL_OK;
}
