/* SPDX-License-Identifier: MIT */
/* The Redis that the test plays, and the sockets of the adapter. */
#include "adapter_rig.h"

static void
redis_note(struct redis *r, const char *what, struct peal_slice topic, const char *more)
{
    CHECK_OK(peal_buf_printf(&r->log, "%s %.*s%s%s\n", what, (int)topic.len, topic.data,
        more[0] != '\0' ? " " : "", more));
}

static void
redis_start(struct peal_backplane *b)
{
}

static void
redis_subscribe(struct peal_backplane *b, struct peal_slice topic)
{
    redis_note((struct redis *)b, "sub", topic, "");
}

static void
redis_unsubscribe(struct peal_backplane *b, struct peal_slice topic)
{
    redis_note((struct redis *)b, "unsub", topic, "");
}

static void
redis_subscribe_pattern(struct peal_redis_pubsub *p, struct peal_slice pattern)
{
    redis_note((struct redis *)p, "psub", pattern, "");
}

static void
redis_unsubscribe_pattern(struct peal_redis_pubsub *p, struct peal_slice pattern)
{
    redis_note((struct redis *)p, "punsub", pattern, "");
}

/* JSON of what is JSON or MessagePack; bytes in it stay placeholders. */
static struct peal_buf
json_of(struct peal_slice payload, const char *me)
{
    struct peal_msgpack_atts atts = { 0 };
    struct peal_buf out = { 0 };
    char *at;

    if (payload.data[0] == '{')
        CHECK_OK(peal_buf_add_slice(&out, payload));
    else
        CHECK_OK(peal_msgpack_to_json(&payload, &out, &atts));
    CHECK_OK(peal_buf_add_char(&out, '\0'));
    peal_msgpack_atts_fini(&atts);
    if ((at = strstr(out.data, me)) != NULL) {
        memmove(at + 2, at + strlen(me), strlen(at + strlen(me)) + 1);
        memcpy(at, "ME", 2);
    }
    return out;
}

static void
redis_publish(struct peal_backplane *b, const struct peal_payload *list, unsigned n)
{
    struct redis *r = (struct redis *)b;

    for (unsigned i = 0; i < n && !r->quiet; i++) {
        struct peal_buf text = json_of(list[i].bytes, r->me);

        redis_note(r, "pub", list[i].topic, text.data);
        peal_buf_fini(&text);
    }
}

static size_t
redis_queued(const struct peal_backplane *b)
{
    return ((const struct redis *)b)->backed;
}

static void
redis_restart(struct peal_backplane *b, const char *why)
{
    redis_note((struct redis *)b, "restart", peal_slice_str(why), "");
}

static void
redis_free(struct peal_backplane *b)
{
    peal_buf_fini(&((struct redis *)b)->log);
}

const struct peal_redis_pubsub_ops redis_pubsub_ops = { .subscribe_pattern =
                                                            redis_subscribe_pattern,
    .unsubscribe_pattern = redis_unsubscribe_pattern };

const struct peal_backplane_ops redis_ops = { .name = "redis",
    .payload_max = 1 << 20,
    .start = redis_start,
    .subscribe = redis_subscribe,
    .unsubscribe = redis_unsubscribe,
    .publish = redis_publish,
    .queued = redis_queued,
    .restart = redis_restart,
    .free = redis_free };

static void
site_ready(void *arg)
{
    ((struct site *)arg)->ready++;
}

void
site_open(struct site *s, bool sharded)
{
    struct peal_adapter_config config = { .sharded = sharded,
        .key = PEAL_S("k"),
        .prefix = PEAL_S("t"),
        .queue_max = 1000,
        .ready = site_ready,
        .arg = s };

    rig_open(&s->r, 1 << 20, 0);
    s->ready = 0;
    s->redis = (struct redis){ .p.ops = &redis_pubsub_ops, .p.b.ops = &redis_ops };
    config.loop = s->r.control;
    config.hub = s->r.hub;
    config.relay = s->r.relay;
    config.link = &s->redis.p;
    CHECK_OK(peal_adapter_new(&config, &s->a));
    s->redis.me = s->a->sender.uid;
    peal_adapter_start(s->a);
}

void
site_close(struct site *s)
{
    for (unsigned i = 0; i < 2; i++) {
        peal_shard_free(&s->r.sh[i]);
        peal_loop_free(&s->r.loops[i]);
    }
    peal_adapter_free(&s->a);
    rig_close(&s->r);
}

void
check_said(struct site *s, const char *want, int line)
{
    CHECK_OK(peal_buf_add_char(&s->redis.log, '\0'));
    if (strcmp(s->redis.log.data, want) != 0)
        print_error("line %d: said:\n%swanted:\n%s", line, s->redis.log.data, want);
    assert_string_equal(s->redis.log.data, want);
    s->redis.log.len = 0;
}

void
turns(struct site *s)
{
    settle(&s->r);
    settle(&s->r);
}

void
confirmed(struct site *s, const char *topic)
{
    s->redis.p.b.events->subscribed(s->redis.p.b.arg, peal_slice_str(topic));
    turns(s);
}

void
redis_up(struct site *s)
{
    s->redis.p.b.events->up(s->redis.p.b.arg);
    if (s->a->sender.sharded) {
        SAID(s, "sub k#/#\n");
        confirmed(s, "k#/#");
    } else {
        SAID(s, "sub k-request#/#\npsub k#/#*\n");
        confirmed(s, "k-request#/#");
        CHECK_INT(s->ready, 0);
        confirmed(s, "k#/#*");
    }
    CHECK_INT(s->ready, 1);
}

void
told(struct site *s, const char *topic, const char *json)
{
    s->redis.p.b.events->message(
        s->redis.p.b.arg, peal_slice_str(topic), peal_slice_str(json));
}

struct peal_buf
packed(const char *json)
{
    struct peal_blob *att = peal_blob_copy(PEAL_S("\x01\x02"));
    struct peal_buf b = { 0 };

    CHECK_OK(peal_msgpack_from_json(&b, peal_slice_str(json), &att, 1));
    peal_blob_release(att);
    return b;
}

void
told_packed(struct site *s, const char *topic, const char *json)
{
    struct peal_buf b = packed(json);

    s->redis.p.b.events->message(
        s->redis.p.b.arg, peal_slice_str(topic), peal_buf_slice(&b));
    peal_buf_fini(&b);
}

static void
socket_note(struct socket *so, const char *fmt, ...)
{
    size_t n = strlen(so->got);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(so->got + n, sizeof(so->got) - n, fmt, ap);
    va_end(ap);
}

static bool
socket_deliver(struct peal_session *s, struct peal_msg *m, unsigned k)
{
    struct socket *so = (struct socket *)s;

    if ((m->flags & PEAL_MSG_NEEDS_ACK) != 0)
        return false;
    socket_note(so, "%.*s%s%s(%.*s) ", (int)m->event.len, m->event.data,
        m->flags & PEAL_MSG_VOLATILE ? "v" : "",
        m->flags & PEAL_MSG_NO_COMPRESS ? "u" : "", (int)m->args.len, m->args.data);
    return true;
}

static void
socket_disconnect(struct peal_session *s, bool everything)
{
    struct socket *so = (struct socket *)s;

    socket_note(so, everything ? "!! " : "! ");
    peal_pending_acks_clear(&so->owed);
    peal_session_fini(s);
}

static bool
socket_ask(
    struct peal_session *s, struct peal_msg *m, unsigned k, struct peal_pending_ack *owed)
{
    struct socket *so = (struct socket *)s;

    socket_note(so, "*%.*s(%.*s) ", (int)m->event.len, m->event.data, (int)m->args.len,
        m->args.data);
    so->id = owed->id;
    peal_pending_ack_add(&so->owed, owed);
    return true;
}

const struct peal_session_ops socket_ops = { .protocol = "test",
    .deliver = socket_deliver,
    .disconnect = socket_disconnect,
    .deliver_with_ack = socket_ask };

void
enter(struct site *s, unsigned worker, struct socket *so, const char *channels)
{
    struct peal_slice rest = peal_slice_str(channels);

    *so = (struct socket){ 0 };
    CHECK_OK(peal_session_init(&so->s, s->r.sh[worker], &socket_ops, PEAL_LISTED));
    while (rest.data != NULL)
        CHECK_OK(peal_session_subscribe(&so->s, peal_slice_cut(&rest, ' ')));
    turns(s);
}

void
quit(struct site *s, struct socket *so)
{
    peal_pending_acks_clear(&so->owed);
    peal_session_fini(&so->s);
    turns(s);
}

void
check_heard(struct site *s, struct socket *so, const char *want, int line)
{
    turns(s);
    if (strcmp(so->got, want) != 0)
        print_error("line %d: got %s, want %s\n", line, so->got, want);
    assert_string_equal(so->got, want);
    so->got[0] = '\0';
}

const char *
id_text(const struct socket *so)
{
    static char text[4][PEAL_ID_LEN + 1];
    static unsigned next;
    char *out = text[next++ % 4];

    memcpy(out, so->s.id, PEAL_ID_LEN);
    return out;
}
