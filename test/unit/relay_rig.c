/* SPDX-License-Identifier: MIT */
/* The backplane that the test plays, two workers, and their sessions. */
#include "relay_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "wire/envelope.h"

struct peal_log rig_log = { .fd = STDERR_FILENO, .level = PEAL_LOG_ERROR };

static void
rig_note(struct rig *r, const char *what, struct peal_slice topic, const char *more)
{
    if (!r->quiet)
        r->log_len += (size_t)snprintf(r->log + r->log_len, sizeof(r->log) - r->log_len,
            "%s%s%.*s%s\n", what, topic.len ? " " : "", (int)topic.len, topic.data, more);
    CHECK(r->log_len < sizeof(r->log));
}

/* The backplane's side. */

static void
fake_start(struct peal_backplane *b)
{
}

static void
fake_subscribe(struct peal_backplane *b, struct peal_slice topic)
{
    rig_note((struct rig *)b, "sub", topic, "");
}

static void
fake_unsubscribe(struct peal_backplane *b, struct peal_slice topic)
{
    rig_note((struct rig *)b, "unsub", topic, "");
}

static void
describe(struct peal_slice payload, char *out, size_t size)
{
    struct peal_slice records;
    struct peal_record rec;
    uint32_t node;
    size_t n = 0;

    out[0] = '\0';
    if (payload.len > PEAL_SEAL_HEAD && payload.data[0] == 'S') {
        payload = peal_slice_skip(payload, PEAL_SEAL_HEAD);
        n = (size_t)snprintf(out, size, " sealed");
    }
    if (payload.len > 0 && payload.data[0] != 'P') {
        snprintf(out + n, size - n, " %.*s", (int)payload.len, payload.data);
        return;
    }
    CHECK_OK(peal_envelope_open(payload, &node, &records));
    CHECK_INT(node, NODE);
    while (
        peal_envelope_next(&records, &rec) == PEAL_OK && rec.kind != PEAL_RECORD_NONE) {
        if (n < size - 64 && rec.kind == PEAL_RECORD_REQUEST)
            n += (size_t)snprintf(out + n, size - n, " ask:%u", rec.op);
        else if (n < size - 64 && rec.kind == PEAL_RECORD_ANSWER)
            n += (size_t)snprintf(out + n, size - n, " answer:%u:%u:%.*s%s", rec.part,
                rec.n, (int)rec.args.len, rec.args.data, rec.last ? "." : "");
        else if (n < size - 64)
            n += (size_t)snprintf(out + n, size - n, " %.*s%s",
                (int)(rec.msg->args.len < 8 ? rec.msg->args.len : 8), rec.msg->args.data,
                rec.number != 0 ? "*" : "");
        peal_record_fini(&rec);
    }
    peal_record_fini(&rec);
}

static void
fake_publish(struct peal_backplane *b, const struct peal_payload *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char text[4096];

        describe(list[i].bytes, text, sizeof(text));
        rig_note((struct rig *)b, "pub", list[i].topic, text);
    }
}

static size_t
fake_queued(const struct peal_backplane *b)
{
    return ((const struct rig *)b)->backed;
}

static void
fake_restart(struct peal_backplane *b, const char *why)
{
    ((struct rig *)b)->restarts++;
    rig_note((struct rig *)b, "restart", PEAL_S(""), "");
}

static void
fake_free(struct peal_backplane *b)
{
    rig_note((struct rig *)b, "free", PEAL_S(""), "");
}

static const struct peal_backplane_ops fake_ops = { .name = "fake",
    .payload_max = 1 << 20,
    .start = fake_start,
    .subscribe = fake_subscribe,
    .unsubscribe = fake_unsubscribe,
    .publish = fake_publish,
    .queued = fake_queued,
    .restart = fake_restart,
    .free = fake_free };

/* The relay's own events. */

static void
rig_up(void *arg)
{
    ((struct rig *)arg)->ups++;
}

static void
rig_down(void *arg)
{
    ((struct rig *)arg)->downs++;
}

static void
rig_said(void *arg, struct peal_slice payload, const struct peal_seal_key *key)
{
    struct rig *r = arg;

    snprintf(r->said, sizeof(r->said), "%.*s", (int)payload.len, payload.data);
}

const struct peal_relay_events rig_events = { rig_up, rig_down, rig_said };

/* Turns. */

void
turn(struct peal_loop *l)
{
    uv_run(peal_loop_uv(l), UV_RUN_NOWAIT);
}

void
settle(struct rig *r)
{
    for (int i = 0; i < 4; i++) {
        turn(r->loops[0]);
        turn(r->loops[1]);
        turn(r->control);
    }
}

void
rig_make_with(struct rig *r, size_t queue_max, uint64_t linger_ms, const char *secret)
{
    const struct peal_slice secrets = peal_slice_str(secret);
    struct peal_loop_config config = { .engine = PEAL_IO_EPOLL, .log = &rig_log };
    struct peal_relay_config relay = { .backplane = &r->b,
        .prefix = PEAL_S("t"),
        .secrets = &secrets,
        .n_secrets = secret != NULL,
        .queue_max = queue_max,
        .linger_ms = linger_ms };

    *r = (struct rig){ .b.ops = &fake_ops };
    CHECK_OK(peal_hub_new(NODE, &r->hub));
    CHECK_OK(peal_loop_new(&config, &r->control));
    for (unsigned i = 0; i < 2; i++) {
        CHECK_OK(peal_loop_new(&config, &r->loops[i]));
        CHECK_OK(peal_shard_new(r->hub, i, r->loops[i], 100, NULL, &r->sh[i]));
    }
    relay.loop = r->control;
    CHECK_OK(peal_relay_new(r->hub, &relay, &r->relay));
}

void
rig_make(struct rig *r, size_t queue_max, uint64_t linger_ms)
{
    rig_make_with(r, queue_max, linger_ms, NULL);
}

void
rig_open(struct rig *r, size_t queue_max, uint64_t linger_ms)
{
    rig_make(r, queue_max, linger_ms);
    peal_relay_start(r->relay, &rig_events, r);
}

void
rig_close(struct rig *r)
{
    for (unsigned i = 0; i < 2; i++) {
        peal_shard_free(&r->sh[i]);
        peal_loop_free(&r->loops[i]);
    }
    peal_relay_free(&r->relay);
    peal_loop_free(&r->control);
    peal_hub_free(&r->hub);
}

static int
by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
check_asked(struct rig *r, const char *want, bool sorted, int line)
{
    char text[sizeof(r->log)], *lines[64], *save = NULL;
    size_t n = 0, len = 0;

    text[0] = '\0';
    if (sorted) {
        for (char *l = strtok_r(r->log, "\n", &save); l != NULL && n < 64;
             l = strtok_r(NULL, "\n", &save))
            lines[n++] = l;
        qsort(lines, n, sizeof(*lines), by_line);
        for (size_t i = 0; i < n; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\n", lines[i]);
    } else {
        memcpy(text, r->log, r->log_len + 1);
    }
    if (strcmp(text, want) != 0)
        print_error("line %d: asked:\n%swanted:\n%s", line, text, want);
    assert_string_equal(text, want);
    r->log_len = 0;
    r->log[0] = '\0';
}

void
subscribed(struct rig *r, const char *topic)
{
    r->b.events->subscribed(r->b.arg, peal_slice_str(topic));
}

void
rig_connect(struct rig *r)
{
    r->b.events->up(r->b.arg);
    settle(r);
    ASKED_SORTED(r, OWN_TOPICS);
    subscribed(r, "t:nodes");
    subscribed(r, "t:n:00000007");
    CHECK(!peal_relay_up(r->relay));
    subscribed(r, "t:all");
    CHECK(peal_relay_up(r->relay));
}

static bool
member_deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    struct member *me = (struct member *)s;
    size_t n = strlen(me->got);

    snprintf(me->got + n, sizeof(me->got) - n, "%.*s ", (int)m->args.len, m->args.data);
    return true;
}

static const struct peal_session_ops member_ops = { .protocol = "test",
    .deliver = member_deliver };

void
begin(struct rig *r, unsigned worker, struct member *me)
{
    *me = (struct member){ 0 };
    CHECK_OK(peal_session_init(&me->s, r->sh[worker], &member_ops, PEAL_LISTED));
}

void
join(struct member *me, const char *channel)
{
    CHECK_OK(peal_session_subscribe(&me->s, peal_slice_str(channel)));
}

void
leave(struct member *me, const char *channel)
{
    CHECK_OK(peal_session_unsubscribe(&me->s, peal_slice_str(channel)));
}

void
join_and_confirm(struct rig *r, struct member *me, const char *channel)
{
    char topic[64];

    join(me, channel);
    settle(r);
    snprintf(topic, sizeof(topic), "t:c:{%s}", channel);
    subscribed(r, topic);
    settle(r);
    CHECK(peal_session_all_subscribed(&me->s));
}

void
check_got(struct member *me, const char *want, int line)
{
    if (strcmp(me->got, want) != 0)
        print_error("line %d: got %s, want %s\n", line, me->got, want);
    assert_string_equal(me->got, want);
    me->got[0] = '\0';
}

struct peal_msg *
message(const char *to, const char *except, const char *args)
{
    struct peal_slice names[32], excluded[8], rest = peal_slice_str(to);
    struct peal_msg_spec spec = {
        .channels = names, .except = excluded, .n_args = 1, .args = peal_slice_str(args)
    };
    struct peal_msg *m;

    while (rest.data != NULL)
        names[spec.n_channels++] = peal_slice_cut(&rest, ' ');
    for (rest = peal_slice_str(except); rest.data != NULL;)
        excluded[spec.n_except++] = peal_slice_cut(&rest, ' ');
    CHECK_OK(peal_msg_new(&spec, &m));
    return m;
}

peal_err
publish(struct rig *r, unsigned worker, const char *to, const char *args)
{
    struct peal_msg *m = message(to, NULL, args);
    peal_err err = peal_publish(r->sh[worker], m);

    peal_msg_release(m);
    return err;
}

struct peal_buf
payload_of(uint32_t node, struct peal_msg *m, uint32_t number)
{
    struct peal_blob *record = peal_envelope_record(m, number);
    struct peal_buf b = { 0 };
    char head[PEAL_ENVELOPE_HEAD];

    CHECK(record != NULL);
    peal_envelope_head(node, head);
    CHECK_OK(peal_buf_add(&b, head, sizeof(head)));
    CHECK_OK(peal_buf_add_slice(&b, peal_blob_slice(record)));
    peal_blob_release(record);
    peal_msg_release(m);
    return b;
}

void
hear(struct rig *r, const char *topic, uint32_t node, struct peal_msg *m, uint32_t number)
{
    struct peal_buf b = payload_of(node, m, number);

    r->b.events->message(r->b.arg, peal_slice_str(topic), peal_buf_slice(&b));
    peal_buf_fini(&b);
}

const char *
id_of(const struct member *me)
{
    static char text[4][PEAL_ID_LEN + 1];
    static unsigned next;
    char *out = text[next++ % 4];

    memcpy(out, me->s.id, PEAL_ID_LEN);
    return out;
}

int64_t
stat_of(const struct rig *r, enum peal_stat id)
{
    return peal_stat_get(peal_loop_stats(r->control), id) +
           peal_stat_get(peal_loop_stats(r->loops[0]), id) +
           peal_stat_get(peal_loop_stats(r->loops[1]), id);
}
