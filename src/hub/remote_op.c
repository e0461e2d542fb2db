/* SPDX-License-Identifier: MIT */
/* Remote operations: one task a worker, there and back. */
#include "hub/remote_op.h"

#include <stdlib.h>

#include "base/assert.h"

void
peal_remote_subscribe(struct peal_remote_part *part, struct peal_session *s)
{
    const struct peal_remote_spec *spec = &part->op->spec;

    for (unsigned i = 0; i < spec->n_targets; i++) {
        peal_err err = peal_session_subscribe(s, spec->targets[i]);

        part->refused += err != PEAL_OK && err != PEAL_EEXIST;
    }
    part->n++;
}

void
peal_remote_unsubscribe(struct peal_remote_part *part, struct peal_session *s)
{
    const struct peal_remote_spec *spec = &part->op->spec;

    for (unsigned i = 0; i < spec->n_targets; i++)
        peal_session_unsubscribe(s, spec->targets[i]);
    part->n++;
}

void
peal_remote_disconnect(struct peal_remote_part *part, struct peal_session *s)
{
    s->ops->disconnect(s, part->op->spec.everything);
    part->n++;
}

static void
remote_op_free(struct peal_remote_op *op)
{
    for (unsigned i = 0; i < op->n_parts; i++)
        peal_buf_fini(&op->parts[i].out);
    op->spec.release(op->spec.ctx);
    free(op);
}

static void
remote_on_part_done(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_remote_op *op = PEAL_CONTAINER(task, struct peal_remote_part, task)->op;

    PEAL_ASSERT(op->n_left > 0 && op->n_left <= op->n_parts);
    if (--op->n_left > 0)
        return;
    if (!op->abandoned)
        op->spec.done(op);
    remote_op_free(op);
}

static void
remote_on_session(void *part, struct peal_session *s)
{
    struct peal_remote_part *p = part;

    p->op->spec.session(p, s);
}

static void
remote_on_part(struct peal_loop *loop, struct peal_task *task)
{
    struct peal_remote_part *p = PEAL_CONTAINER(task, struct peal_remote_part, task);
    const struct peal_remote_spec *spec = &p->op->spec;
    struct peal_shard *sh = peal_hub_shard(spec->hub, p->worker); /* NULL: it has ended */

    if (sh != NULL && !spec->nobody &&
        peal_select(sh, &spec->what, remote_on_session, p) != PEAL_OK)
        peal_stat_add(peal_shard_stats(sh), PEAL_STAT_WORKER_LOST, 1);
    if (sh != NULL && spec->channel != NULL)
        peal_shard_each_channel(sh, spec->channel, p);
    p->task.fn = remote_on_part_done;
    peal_loop_post(spec->loop, &p->task);
}

peal_err
peal_remote_op_begin(const struct peal_remote_spec *spec, struct peal_remote_op **out)
{
    unsigned n = peal_hub_n_workers(spec->hub);
    struct peal_remote_op *op = calloc(1, sizeof(*op) + n * sizeof(op->parts[0]));

    if (op == NULL)
        return PEAL_ENOMEM;
    op->spec = *spec;
    op->n_parts = op->n_left = n;
    peal_relay_post_deliveries(spec->relay);
    for (unsigned i = 0; i < n; i++) {
        struct peal_remote_part *p = &op->parts[i];

        p->op = op;
        p->worker = i;
        p->task.fn = remote_on_part;
        peal_loop_post(peal_shard_loop(peal_hub_shard(spec->hub, i)), &p->task);
    }
    *out = op;
    return PEAL_OK;
}

void
peal_remote_op_abandon(struct peal_remote_op *op)
{
    op->abandoned = true;
}
