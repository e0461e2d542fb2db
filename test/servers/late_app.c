/* SPDX-License-Identifier: MIT */
/*
 * Peal with an app that answers when it is told to, from a thread of its own.
 *
 * It keeps connects to namespaces that begin with /late, subscriptions and publishes of
 * channels that begin with "late" (a channel of its own for each: "late-sub..." and
 * "late-pub..."), and events whose name begins with "keep"; all else it allows or
 * acknowledges at once. Tests steer it by HTTP:
 *
 *   /late/answer/KEY/HOW  the thread answers the oldest question of that key, once there
 *                         is one. KEY: a namespace without its slash, a channel, or the
 *                         name of an event. HOW: allow, refuse, twice, ack, emit, release
 *   /late/log             what has happened: questions, answers with their results, ends
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "run.h"

struct kept {
    struct peal_link link;
    struct peal_question *question;
    char key[64];
};

struct job {
    struct peal_link link;
    char key[64], how[16];
};

/* What the app attaches to each socket that it lets in at once. */
struct user {
    struct peal_session_user base;
};

static struct late_app {
    struct peal_app app;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool stop;
    struct peal_link kept, jobs;
    struct peal_buf log;
    unsigned n_users;
} late = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void
write_log(const char *what, const char *key, const char *result)
{
    if (peal_buf_printf(
            &late.log, "%s %s%s%s\n", what, key, *result ? " " : "", result) != PEAL_OK)
        abort();
    pthread_cond_broadcast(&late.changed);
}

static peal_err
keep(const struct peal_ask *ask, struct peal_slice key)
{
    struct kept *k = calloc(1, sizeof(*k));

    if (k == NULL || (k->question = peal_ask_keep(ask)) == NULL) {
        free(k);
        return PEAL_EPERM;
    }
    snprintf(k->key, sizeof(k->key), "%.*s", PEAL_ARG(key));
    pthread_mutex_lock(&late.lock);
    peal_list_append(&late.kept, &k->link);
    write_log("asked", k->key, "");
    pthread_mutex_unlock(&late.lock);
    return PEAL_EAGAIN;
}

static struct kept *
take_kept(const char *key)
{
    for (struct peal_link *l = late.kept.next; l != &late.kept; l = l->next) {
        struct kept *k = PEAL_CONTAINER(l, struct kept, link);

        if (strcmp(k->key, key) == 0) {
            peal_list_unlink(l);
            return k;
        }
    }
    return NULL;
}

static const char *
answer(struct peal_question *q, const char *how)
{
    struct peal_blob *att = peal_blob_copy(PEAL_S("bytes"));
    peal_err err = PEAL_OK;

    if (strcmp(how, "allow") == 0)
        err = peal_question_allow(q);
    else if (strcmp(how, "refuse") == 0)
        err = peal_question_refuse(q, "not today");
    else if (strcmp(how, "twice") == 0)
        err =
            peal_question_allow(q) == PEAL_OK ? peal_question_refuse(q, "no") : PEAL_EIO;
    else if (strcmp(how, "ack") == 0)
        err = peal_question_ack(
            q, PEAL_S("\"late\",{\"_placeholder\":true,\"num\":0}"), &att, 1);
    else if (strcmp(how, "emit") == 0)
        err = peal_question_emit(q, PEAL_S("\"tick\""), PEAL_S("1,[2]"), 2, NULL, 0);
    peal_blob_release(att);
    return peal_err_text(err);
}

static void *
app_thread(void *arg)
{
    pthread_mutex_lock(&late.lock);
    while (!late.stop) {
        struct job *j = NULL;
        struct kept *k = NULL;

        if (!peal_list_empty(&late.jobs)) {
            j = PEAL_CONTAINER(late.jobs.next, struct job, link);
            k = take_kept(j->key);
        }
        if (k == NULL) {
            pthread_cond_wait(&late.changed, &late.lock);
            continue;
        }
        peal_list_unlink(&j->link);
        write_log(j->how, k->key, answer(k->question, j->how));
        peal_question_release(k->question);
        free(j);
        free(k);
    }
    pthread_mutex_unlock(&late.lock);
    return NULL;
}

static void
free_user(struct peal_session_user *u)
{
    pthread_mutex_lock(&late.lock);
    late.n_users--;
    pthread_mutex_unlock(&late.lock);
    free(PEAL_CONTAINER(u, struct user, base));
}

static peal_err
on_connect(struct peal_app *app, const struct peal_connect *c, const char **why_out)
{
    struct user *u;

    if (peal_slice_starts(c->nsp, PEAL_S("/late")))
        return keep(&c->ask, peal_slice_skip(c->nsp, 1));
    if ((u = calloc(1, sizeof(*u))) != NULL) {
        u->base.free = free_user;
        c->session->user = &u->base;
        pthread_mutex_lock(&late.lock);
        late.n_users++;
        pthread_mutex_unlock(&late.lock);
    }
    return PEAL_OK;
}

static void
on_event(struct peal_app *app, const struct peal_event *ev)
{
    if (peal_slice_starts(ev->name, PEAL_S("keep")) &&
        keep(&ev->ask, ev->name) == PEAL_EAGAIN)
        return;
    if (ev->ack != NULL)
        ev->ack(ev, ev->args, ev->atts, ev->n_atts);
}

static void
on_disconnect(struct peal_app *app, struct peal_session *s, enum peal_session_end why)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", (int)why);
    pthread_mutex_lock(&late.lock);
    write_log("end", s->ops->protocol, number);
    pthread_mutex_unlock(&late.lock);
}

static peal_err
may_subscribe(struct peal_app *app, const struct peal_access *a, const char **why_out)
{
    return peal_slice_starts(a->channel, PEAL_S("late-sub")) ? keep(&a->ask, a->channel)
                                                             : PEAL_OK;
}

static peal_err
may_publish(struct peal_app *app, const struct peal_access *a, const char **why_out)
{
    return peal_slice_starts(a->channel, PEAL_S("late-pub")) ? keep(&a->ask, a->channel)
                                                             : PEAL_OK;
}

static void
on_stop(struct peal_app *app)
{
    pthread_mutex_lock(&late.lock);
    late.stop = true;
    pthread_cond_broadcast(&late.changed);
    pthread_mutex_unlock(&late.lock);
    pthread_join(late.thread, NULL);
}

static void
on_free(struct peal_app *app)
{
    struct peal_link *l;

    while ((l = peal_list_take(&late.kept)) != NULL) {
        struct kept *k = PEAL_CONTAINER(l, struct kept, link);

        peal_question_release(k->question);
        free(k);
    }
    while ((l = peal_list_take(&late.jobs)) != NULL)
        free(PEAL_CONTAINER(l, struct job, link));
    peal_buf_fini(&late.log);
}

static const struct peal_app_ops late_ops = { .name = "late",
    .connect = on_connect,
    .event = on_event,
    .disconnect = on_disconnect,
    .may_subscribe = may_subscribe,
    .may_publish = may_publish,
    .stop = on_stop,
    .free = on_free };

static peal_err
make_app(const struct peal_options *o, struct peal_app **out)
{
    late.app.ops = &late_ops;
    peal_list_init(&late.kept);
    peal_list_init(&late.jobs);
    *out = &late.app;
    return pthread_create(&late.thread, NULL, app_thread, NULL) == 0 ? PEAL_OK
                                                                     : PEAL_ENOMEM;
}

static void
show_log(struct peal_http *h)
{
    struct peal_buf text = { 0 };

    pthread_mutex_lock(&late.lock);
    if (peal_buf_add_slice(&text, peal_buf_slice(&late.log)) != PEAL_OK ||
        peal_buf_printf(&text, "users %u\n", late.n_users) != PEAL_OK)
        abort();
    pthread_mutex_unlock(&late.lock);
    peal_http_reply(h, 200, "text/plain", peal_buf_slice(&text));
    peal_buf_fini(&text);
}

static void
handle(struct peal_http *h, void *proto)
{
    struct peal_slice rest = peal_slice_skip(h->head->path, sizeof("/late/") - 1), key;
    struct job *j;

    if (!peal_slice_eq(peal_slice_cut(&rest, '/'), PEAL_S("answer"))) {
        show_log(h);
        return;
    }
    if ((j = calloc(1, sizeof(*j))) == NULL)
        abort();
    key = peal_slice_cut(&rest, '/');
    snprintf(j->key, sizeof(j->key), "%.*s", PEAL_ARG(key));
    snprintf(j->how, sizeof(j->how), "%.*s", PEAL_ARG(rest));
    pthread_mutex_lock(&late.lock);
    peal_list_append(&late.jobs, &j->link);
    pthread_cond_broadcast(&late.changed);
    pthread_mutex_unlock(&late.lock);
    peal_http_reply(h, 200, NULL, PEAL_S(""));
}

int
main(int argc, char **argv)
{
    static const char *const defaults[] = { "listen=127.0.0.1:3000", "workers=2",
        "dev=on", "drain.delay=0s", "drain.window=0s", NULL };

    return run_server(argc, argv,
        &(struct peal_program){ .app = make_app, .handle = handle, .path = "/late/" },
        defaults);
}
