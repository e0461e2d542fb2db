/* SPDX-License-Identifier: MIT */
/*
 * Chunked bodies, one byte of framing at a time, data in runs. The size of a chunk is
 * judged as soon as its digits are known, before any of its data is taken.
 */
#include "wire/http_body.h"

#include "base/ascii.h"

enum state {
    SIZE,       /* hex digits, at least one */
    EXT,        /* after ';' up to CR */
    SIZE_LF,    /* the LF of a size line */
    DATA,       /* chunk_left bytes */
    DATA_CR,    /* the CR that ends a chunk */
    DATA_LF,    /* and its LF */
    TRAILER,    /* at the start of a trailer line */
    TRAILER_IN, /* inside one */
    TRAILER_LF, /* its LF */
    END_LF,     /* the LF of the empty line */
    BROKEN
};

void
peal_chunked_init(struct peal_chunked *c, uint64_t body_max)
{
    *c = (struct peal_chunked){ .body_left = body_max, .state = SIZE };
}

/* Visible characters, spaces and tabs: nothing in which another parser could see the end
 * of a line. */
static bool
is_text(unsigned char ch)
{
    return ch == '\t' || (ch >= ' ' && ch != 0x7f);
}

static peal_err
size_byte(struct peal_chunked *c, unsigned char ch)
{
    int v = peal_ascii_hex((char)ch);

    if (v >= 0) {
        if (c->digits == 16)
            return PEAL_EPROTO;
        c->digits++;
        c->chunk_left = c->chunk_left << 4 | (unsigned)v;
        return PEAL_OK;
    }
    if (c->digits == 0 || (ch != ';' && ch != '\r'))
        return PEAL_EPROTO;
    if (c->chunk_left > c->body_left)
        return PEAL_ELIMIT;
    c->state = ch == ';' ? EXT : SIZE_LF;
    return PEAL_OK;
}

static peal_err
ext_byte(struct peal_chunked *c, unsigned char ch)
{
    if (ch == '\r') {
        c->state = SIZE_LF;
        return PEAL_OK;
    }
    return is_text(ch) && ++c->extra <= PEAL_CHUNKED_EXT_MAX ? PEAL_OK : PEAL_EPROTO;
}

static peal_err
trailer_byte(struct peal_chunked *c, unsigned char ch)
{
    if (ch == '\r') {
        c->state = c->state == TRAILER ? END_LF : TRAILER_LF;
        return PEAL_OK;
    }
    c->state = TRAILER_IN;
    return is_text(ch) && ++c->extra <= PEAL_CHUNKED_TRAILER_MAX ? PEAL_OK : PEAL_EPROTO;
}

static void
size_line_end(struct peal_chunked *c)
{
    c->digits = 0;
    c->body_left -= c->chunk_left;
    if (c->chunk_left > 0) {
        c->state = DATA;
        return;
    }
    c->state = TRAILER;
    c->extra = 0;
}

static peal_err
framing_byte(struct peal_chunked *c, unsigned char ch)
{
    switch (c->state) {
    case SIZE:
        return size_byte(c, ch);
    case EXT:
        return ext_byte(c, ch);
    case TRAILER:
    case TRAILER_IN:
        return trailer_byte(c, ch);
    case DATA_CR:
        c->state = DATA_LF;
        return ch == '\r' ? PEAL_OK : PEAL_EPROTO;
    default:
        break;
    }
    if (ch != '\n')
        return PEAL_EPROTO;
    switch (c->state) {
    case SIZE_LF:
        size_line_end(c);
        return PEAL_OK;
    case DATA_LF:
        c->state = SIZE;
        return PEAL_OK;
    case TRAILER_LF:
        c->state = TRAILER;
        return PEAL_OK;
    case END_LF:
        c->done = true;
        return PEAL_OK;
    default: /* BROKEN */
        return PEAL_EPROTO;
    }
}

peal_err
peal_chunked_decode(struct peal_chunked *c, const char *in, size_t len, size_t *used_out,
    struct peal_slice *data_out)
{
    size_t i = 0;
    peal_err err = c->state == BROKEN ? PEAL_EPROTO : PEAL_OK;

    *data_out = (struct peal_slice){ NULL, 0 };
    while (err == PEAL_OK && !c->done && i < len && c->state != DATA)
        err = framing_byte(c, (unsigned char)in[i++]);
    if (err != PEAL_OK) {
        c->state = BROKEN;
    } else if (!c->done && i < len) {
        size_t n = len - i < c->chunk_left ? len - i : (size_t)c->chunk_left;

        *data_out = (struct peal_slice){ in + i, n };
        i += n;
        if ((c->chunk_left -= n) == 0)
            c->state = DATA_CR;
    } else if (!c->done) {
        err = PEAL_EAGAIN;
    }
    *used_out = i;
    return err;
}
