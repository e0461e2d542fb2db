/* SPDX-License-Identifier: MIT */
/*
 * The channels that a request of a plain protocol names, and whether it may have them.
 *
 * The app is asked about one after the other. Where it answers later, the request waits:
 * a copy of its head is kept, and with each answer the protocol's handler is called again
 * from the top, which passes over the channels that are decided. So there is one way
 * through the code, whether the app takes its time or not. The client cannot be read
 * meanwhile, for its request is in progress; if it disconnects, all is cancelled.
 */
#include <stdlib.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "proto/plain_priv.h"
#include "wire/query.h"

/* The answer to a request that is refused. Status 0: there is none, and the connection is
 * closed, because an EventSource never comes back after an error status. */
struct refusal {
    unsigned status;
    const char *why;
};

bool
peal_plain_channel_ok(struct peal_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (peal_ascii_is_control(name.data[i]))
            return false;
    return name.len > 0 && name.len <= PEAL_CHANNEL_NAME_MAX && peal_utf8_valid(name);
}

static void
asking_free(struct peal_plain_asking *a)
{
    peal_questions_drop(&a->questions);
    peal_msg_release(a->message);
    peal_buf_fini(&a->head);
    free(a);
}

void
peal_plain_stop_asking(struct peal_plain *p)
{
    if (p->asking != NULL)
        asking_free(p->asking);
    p->asking = NULL;
}

static void
plain_call_again(struct peal_http *h, void *plain)
{
    struct peal_plain *p = plain;

    p->asking->ops->again(p, h);
}

static void
plain_on_decided(void *owner, const struct peal_answer *answer)
{
    struct peal_plain *p = owner;
    struct peal_plain_asking *a = p->asking;

    a->decided = true;
    a->err = answer->err;
    a->why = answer->why;
    a->http->gone = NULL;
    peal_http_call_again(a->http, peal_buf_slice(&a->head), plain_call_again, p);
    if (a->done) /* p may have been released */
        asking_free(a);
}

static void
plain_on_gone(struct peal_http *h)
{
    struct peal_plain *p = h->user;
    const struct peal_plain_ops *ops = p->asking->ops;

    peal_plain_stop_asking(p);
    ops->cancel(p);
}

/* Takes the question that the app has kept, whose list is on the stack. */
static peal_err
plain_take_question(struct peal_plain *p, struct peal_questions **questions)
{
    if (p->asking == NULL && (p->asking = calloc(1, sizeof(*p->asking))) == NULL) {
        peal_questions_drop(questions);
        return PEAL_ENOMEM;
    }
    peal_questions_move(&p->asking->questions, questions);
    return PEAL_EAGAIN;
}

peal_err
peal_plain_ask(struct peal_plain *p, enum peal_ask_kind kind, struct peal_slice channel,
    peal_answer_fn *decided, const char **why_out)
{
    struct peal_app *app = peal_plain_proto(p)->app;
    struct peal_questions *questions = NULL;
    struct peal_access a = { .session = &p->session,
        .channel = channel,
        .ask = { .questions = &questions,
            .loop = peal_plain_proto(p)->loop,
            .owner = p,
            .decided = decided,
            .kind = kind } };
    peal_err err = kind == PEAL_ASK_PUBLISH ? app->ops->may_publish(app, &a, why_out)
                                            : app->ops->may_subscribe(app, &a, why_out);

    if (err == PEAL_EAGAIN && questions != NULL)
        return plain_take_question(p, &questions);
    peal_questions_drop(&questions);
    return err == PEAL_EAGAIN ? PEAL_EPERM : err;
}

/* Asks the app whether p may subscribe to channel number n of the request. */
static peal_err
plain_may_subscribe(
    struct peal_plain *p, struct peal_slice channel, unsigned n, const char **why_out)
{
    struct peal_plain_asking *asking = p->asking;

    if (asking != NULL && n < asking->n_allowed)
        return PEAL_OK;
    if (asking == NULL || !asking->decided)
        return peal_plain_ask(p, PEAL_ASK_SUBSCRIBE, channel, plain_on_decided, why_out);
    asking->decided = false;
    *why_out = asking->why;
    return asking->err;
}

static peal_err
plain_join(struct peal_plain *p, struct peal_slice channel, struct refusal *no)
{
    peal_err err = peal_session_subscribe(&p->session, channel);

    if (err == PEAL_EEXIST)
        return PEAL_OK;
    if (err == PEAL_EPERM)
        *no = (struct refusal){ 403, "the id of a session is not a channel" };
    else if (err == PEAL_ELIMIT)
        *no = (struct refusal){ 400, "too many channels for one connection" };
    else
        *no = (struct refusal){ 0 };
    return err;
}

static peal_err
plain_subscribe_one(struct peal_plain *p, struct peal_slice raw, enum peal_plus plus,
    unsigned n, struct refusal *no)
{
    struct peal_buf name = { 0 };
    peal_err err = peal_percent_decode(raw, plus, &name);
    struct peal_slice channel = peal_buf_slice(&name);
    const char *why = NULL;

    *no = (struct refusal){ 400, "a channel's name is 1 to 1024 bytes of UTF-8 without "
                                 "control characters" };
    if (err == PEAL_OK && !peal_plain_channel_ok(channel))
        err = PEAL_EINVAL;
    else if (err == PEAL_OK &&
             (err = plain_may_subscribe(p, channel, n, &why)) == PEAL_OK)
        err = plain_join(p, channel, no);
    else if (err == PEAL_ENOMEM)
        *no = (struct refusal){ 0 };
    else if (err != PEAL_EAGAIN && name.len > 0) {
        peal_stat_add(peal_proto_stats(peal_plain_proto(p)), PEAL_STAT_DENIED, 1);
        *no = (struct refusal){ 403,
            why != NULL ? why : "this channel is not open to you" };
    }
    peal_buf_fini(&name);
    return err;
}

/* Lets the request wait for the answer about the channel after n_allowed others. */
static peal_err
plain_wait_for_app(struct peal_plain *p, struct peal_http *h,
    const struct peal_plain_ops *ops, unsigned n_allowed)
{
    struct peal_plain_asking *a = p->asking;
    peal_err err;

    if (a->http == NULL && (err = peal_http_copy_head(h, &a->head)) != PEAL_OK)
        return err;
    a->http = h;
    a->ops = ops;
    a->n_allowed = n_allowed;
    h->user = p;
    h->gone = plain_on_gone;
    return PEAL_OK;
}

static void
plain_refuse(struct peal_plain *p, struct peal_http *h, const struct refusal *no)
{
    const char *why = no->status != 0 ? no->why : "out of memory";
    struct peal_buf text = { 0 };

    peal_session_log_refused(peal_plain_proto(p), h, p->session.ops->protocol, NULL, why);
    if (no->status != 0 && peal_buf_printf(&text, "%s\n", why) == PEAL_OK)
        peal_http_reply(h, no->status, "text/plain", peal_buf_slice(&text));
    else
        peal_http_close(h, PEAL_CLOSE_ERROR);
    peal_buf_fini(&text);
}

/* Subscribes to all that the request names, up to the one that the app keeps. */
static peal_err
plain_subscribe_all(struct peal_plain *p, struct peal_http *h,
    const struct peal_plain_ops *ops, unsigned *n_out, struct refusal *no)
{
    struct peal_slice path = peal_slice_skip(h->head->path, ops->prefix.len);
    struct peal_slice rest = h->head->query, key, value;
    peal_err err = PEAL_OK;

    *n_out = 0;
    *no = (struct refusal){ 400, "name a channel: in the path, or as ?channel=" };
    if (path.len > 0)
        err = plain_subscribe_one(p, path, PEAL_PLUS_IS_PLUS, (*n_out)++, no);
    while (err == PEAL_OK && peal_query_next(&rest, &key, &value))
        if (peal_slice_eq(key, PEAL_S("channel"))) {
            p->session.envelopes = true;
            err = plain_subscribe_one(p, value, PEAL_PLUS_IS_SPACE, (*n_out)++, no);
        }
    return err;
}

enum peal_plain_subscribed
peal_plain_subscribe(
    struct peal_plain *p, struct peal_http *h, const struct peal_plain_ops *ops)
{
    struct refusal no;
    unsigned n;
    peal_err err = plain_subscribe_all(p, h, ops, &n, &no);

    if (err == PEAL_EAGAIN) {
        if (plain_wait_for_app(p, h, ops, n - 1) == PEAL_OK)
            return PEAL_PLAIN_ASKED;
        peal_plain_stop_asking(p);
        no = (struct refusal){ 0 };
    }
    if (p->asking != NULL) /* plain_on_decided, on the stack, releases it */
        p->asking->done = true;
    p->asking = NULL;
    if (err == PEAL_OK && p->session.n_subs > 0)
        return PEAL_PLAIN_SUBSCRIBED;
    plain_refuse(p, h, &no);
    return PEAL_PLAIN_REFUSED;
}
