/* SPDX-License-Identifier: MIT */
/*
 * Messages: what travels from a publisher to every subscriber. Immutable once made,
 * counted, shared by all workers. One allocation holds everything.
 *
 * A message caches its bytes once per wire format: the first worker that needs a format
 * builds it, everyone else borrows. So an encoding is made once a node, not once a
 * client. Any thread.
 */
#ifndef PEAL_BASE_MSG_H
#define PEAL_BASE_MSG_H

#include "base/blob.h"

#define PEAL_CHANNELS_MAX 1000   /* channels, or exclusions, of one message */
#define PEAL_MSG_NAMES_MAX 16384 /* the same of one that does not leave its node */
#define PEAL_MSG_FORMATS_MAX 16  /* wire formats whose bytes a message caches */
#define PEAL_ATTACHMENTS_MAX 32  /* of one message; what is found fits 32 bits */

enum peal_data_kind {
    PEAL_DATA_JSON, /* args: raw JSON values joined by commas, n_args of them */
    PEAL_DATA_TEXT, /* args: UTF-8 text, not JSON; counts as one argument */
    PEAL_DATA_BYTES /* args: binary; counts as one argument */
};

enum peal_msg_flags {
    PEAL_MSG_VOLATILE = 1,    /* drop for a receiver whose connection is not writable */
    PEAL_MSG_NO_COMPRESS = 2, /* do not deflate */
    PEAL_MSG_NEEDS_ACK = 4    /* to be acknowledged, see hub/ackreq.h */
};

struct peal_channel_name {
    struct peal_slice name;
    uint32_t hash; /* peal_channel_hash(name) */
};

struct peal_msg {
    atomic_uint refs;
    enum peal_data_kind kind;
    unsigned flags; /* PEAL_MSG_... */
    unsigned n_channels, n_except, n_atts, n_args;
    struct peal_channel_name *channels; /* delivered to the union, once each */
    struct peal_slice *except;          /* channels or session ids that must not get it */
    struct peal_blob **atts; /* attachments of a JSON message, in placeholder order */
    struct peal_slice nsp;   /* Socket.IO namespace, "/" for plain channels */
    struct peal_slice event; /* raw JSON token, normally a string with quotes, or empty */
    struct peal_slice args;
    _Atomic(struct peal_blob *) encoded[PEAL_MSG_FORMATS_MAX];
};

/* The parts of a new message; everything is borrowed and copied, attachments are
 * retained. */
struct peal_msg_spec {
    const struct peal_slice *channels;
    unsigned n_channels; /* 1..PEAL_MSG_NAMES_MAX */
    const struct peal_slice *except;
    unsigned n_except;
    struct peal_blob *const *atts;
    unsigned n_atts;
    enum peal_data_kind kind;
    unsigned flags;
    unsigned n_args;       /* JSON only */
    struct peal_slice nsp; /* empty means "/" */
    struct peal_slice event;
    struct peal_slice args;
};

/* peal_msg_new makes a message with one reference, the caller's.
 * Errors: PEAL_ENOMEM; PEAL_ELIMIT: too many channels, exclusions or attachments. */
PEAL_MUST_USE peal_err peal_msg_new(
    const struct peal_msg_spec *spec, struct peal_msg **out);

static inline struct peal_msg *
peal_msg_retain(struct peal_msg *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}

/* peal_msg_release gives one reference back. NULL is fine. */
void peal_msg_release(struct peal_msg *m);

/* Builds the bytes of m in one format; the blob is the caller's. NULL: out of memory.
 * ctx is the calling worker's codec scratch (struct peal_deflate), borrowed. */
typedef struct peal_blob *peal_msg_encode_fn(const struct peal_msg *m, void *ctx);

/*
 * peal_msg_bytes returns m in a format, borrowed: it lives as long as m. encode is called
 * only the first time. format is an index that its users agree on (wire/encode.h), below
 * PEAL_MSG_FORMATS_MAX. NULL: out of memory.
 */
struct peal_blob *peal_msg_bytes(
    struct peal_msg *m, unsigned format, peal_msg_encode_fn *encode, void *ctx);

/* peal_channel_hash is the same on every worker of this process (interest tables). */
uint32_t peal_channel_hash(struct peal_slice name);

#endif
