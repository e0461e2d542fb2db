/* SPDX-License-Identifier: MIT */
/*
 * A look-up is shared by its thread and its loop, and the lock decides which of them has
 * the last word: the thread posts the result while it holds the lock, so that a loop that
 * has cancelled all its look-ups gets no task any more. A look-up that was cancelled
 * before is released by its thread, one that was posted by its task.
 */
#include "io/resolve.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Outlives its loop as long as a thread of it hangs. */
struct peal_resolver {
    _Atomic unsigned refs;
    _Atomic unsigned n_threads;
};

struct peal_lookup {
    struct peal_task task;
    pthread_mutex_t lock;
    struct peal_loop *loop;
    struct peal_resolver *resolver;
    peal_resolve_fn *fn; /* NULL: it was cancelled */
    void *arg;
    struct addrinfo *all;
    char *service; /* behind the host, in the same bytes */
    char host[];
};

void
peal_resolver_release(struct peal_resolver **rp)
{
    struct peal_resolver *r = *rp;

    *rp = NULL;
    if (r != NULL && atomic_fetch_sub(&r->refs, 1) == 1)
        free(r);
}

static void
lookup_free(struct peal_lookup *l)
{
    if (l->all != NULL)
        freeaddrinfo(l->all);
    pthread_mutex_destroy(&l->lock);
    peal_resolver_release(&l->resolver);
    free(l);
}

/* On the loop. The lock is taken once, so that the thread has let go of it. */
static void
lookup_on_done(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_lookup *l = PEAL_CONTAINER(task, struct peal_lookup, task);
    struct addrinfo *all = l->all;
    peal_resolve_fn *fn;

    pthread_mutex_lock(&l->lock);
    fn = l->fn;
    pthread_mutex_unlock(&l->lock);
    if (fn != NULL) {
        l->all = NULL;
        fn(l->arg, all);
    }
    lookup_free(l);
}

static void *
lookup_run(void *arg)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV
    };
    struct peal_lookup *l = arg;
    struct peal_resolver *resolver = l->resolver;
    bool cancelled;

    if (getaddrinfo(l->host, l->service, &hints, &l->all) != 0)
        l->all = NULL;
    pthread_mutex_lock(&l->lock);
    cancelled = l->fn == NULL;
    atomic_fetch_sub(&resolver->n_threads, 1);
    if (!cancelled)
        peal_loop_post(l->loop, &l->task);
    pthread_mutex_unlock(&l->lock); /* if it was posted, l may be gone after this */
    if (cancelled)
        lookup_free(l);
    return NULL;
}

static peal_err
start_thread(struct peal_lookup *l)
{
    pthread_attr_t attr;
    pthread_t thread;
    int r;

    if (pthread_attr_init(&attr) != 0)
        return PEAL_ENOMEM;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    r = pthread_create(&thread, &attr, lookup_run, l);
    pthread_attr_destroy(&attr);
    return r == 0 ? PEAL_OK : PEAL_EIO;
}

static struct peal_resolver *
resolver_retain(struct peal_resolver **resolver)
{
    if (*resolver == NULL && (*resolver = calloc(1, sizeof(**resolver))) != NULL)
        (*resolver)->refs = 1; /* the loop's */
    if (*resolver != NULL)
        atomic_fetch_add(&(*resolver)->refs, 1);
    return *resolver;
}

peal_err
peal_resolve(struct peal_loop *loop, struct peal_resolver **resolver, const char *host,
    const char *service, peal_resolve_fn *fn, void *arg, struct peal_lookup **out)
{
    size_t host_size = strlen(host) + 1, service_size = strlen(service) + 1;
    struct peal_lookup *l = calloc(1, sizeof(*l) + host_size + service_size);
    peal_err err;

    if (l == NULL)
        return PEAL_ENOMEM;
    if ((l->resolver = resolver_retain(resolver)) == NULL) {
        free(l);
        return PEAL_ENOMEM;
    }
    pthread_mutex_init(&l->lock, NULL);
    l->task.fn = lookup_on_done;
    l->loop = loop;
    l->fn = fn;
    l->arg = arg;
    memcpy(l->host, host, host_size);
    l->service = l->host + host_size;
    memcpy(l->service, service, service_size);
    if (atomic_fetch_add(&l->resolver->n_threads, 1) >= PEAL_LOOKUPS_MAX)
        err = PEAL_ELIMIT;
    else
        err = start_thread(l);
    if (err != PEAL_OK) {
        atomic_fetch_sub(&l->resolver->n_threads, 1);
        lookup_free(l);
        return err;
    }
    *out = l;
    return PEAL_OK;
}

void
peal_resolve_cancel(struct peal_lookup **lp)
{
    struct peal_lookup *l = *lp;

    *lp = NULL;
    if (l == NULL)
        return;
    pthread_mutex_lock(&l->lock);
    l->fn = NULL;
    pthread_mutex_unlock(&l->lock);
}
