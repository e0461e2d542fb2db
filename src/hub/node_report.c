/* SPDX-License-Identifier: MIT */
/* Reports of nodes, written and read. What is read comes from the backplane, so nothing
 * of it is trusted to be in form. */
#include "hub/node_report_priv.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"

/* The private part: the key, then the secret's characters, padded with zeros. */
#define PRIVATE_LEN (PEAL_SIPHASH_KEY_LEN + PEAL_NODE_SECRET_LEN)

static const char *const state_names[] = {
#define X(name, word) [PEAL_NODE_##name] = word,
    PEAL_NODE_STATES(X)
#undef X
};

const char *
peal_node_state_name(enum peal_node_state state)
{
    return state_names[state];
}

static void
nonce_of(uint32_t number, uint64_t sent, uint8_t out[16])
{
    memset(out, 0, 16);
    memcpy(out, &sent, sizeof(sent));
    memcpy(out + sizeof(sent), &number, sizeof(number));
}

static peal_err
add_hex(struct peal_buf *out, const char *name, const uint8_t *bytes, size_t n)
{
    peal_err err = peal_buf_printf(out, ",\"%s\":\"", name);

    for (size_t i = 0; i < n && err == PEAL_OK; i++)
        err = peal_buf_printf(out, "%02x", bytes[i]);
    return err == PEAL_OK ? peal_buf_add_char(out, '"') : err;
}

static peal_err
add_text(struct peal_buf *out, const char *name, const char *value)
{
    peal_err err = peal_buf_printf(out, ",\"%s\":", name);

    return err == PEAL_OK ? peal_json_quote(out, peal_slice_str(value)) : err;
}

static peal_err
add_private(struct peal_buf *out, const struct peal_node_report *r,
    const struct peal_report_extra *extra, const struct peal_seal_key *seal_key)
{
    uint8_t bytes[PRIVATE_LEN] = { 0 }, nonce[16];
    peal_err err;

    if (seal_key == NULL) {
        err = add_hex(out, "key", extra->key.bytes, sizeof(extra->key.bytes));
        return err == PEAL_OK ? add_text(out, "secret", r->secret) : err;
    }
    memcpy(bytes, extra->key.bytes, sizeof(extra->key.bytes));
    memcpy(bytes + PEAL_SIPHASH_KEY_LEN, r->secret, strlen(r->secret));
    nonce_of(r->number, extra->sent, nonce);
    peal_seal_crypt(seal_key, nonce, bytes, sizeof(bytes));
    return add_hex(out, "private", bytes, sizeof(bytes));
}

static peal_err
add_hears(struct peal_buf *out, const struct peal_report_extra *extra)
{
    peal_err err =
        peal_buf_printf(out, ",\"hears_n\":%u,\"hears\":\"", extra->n_heard_in_all);

    for (unsigned i = 0; i < extra->n_hears && err == PEAL_OK; i++)
        err = peal_buf_printf(out, "%08x", extra->hears[i]);
    return err == PEAL_OK ? peal_buf_add_char(out, '"') : err;
}

peal_err
peal_report_write(struct peal_buf *out, const struct peal_node_report *r,
    const struct peal_report_extra *extra, const struct peal_seal_key *seal_key)
{
    peal_err err = peal_buf_printf(out,
        "{\"v\":1,\"node\":\"%08x\",\"state\":\"%s\",\"started\":%" PRId64
        ",\"connections\":%" PRId64 ",\"sessions\":%" PRId64 ",\"room\":%" PRId64
        ",\"sent\":%" PRIu64 ",\"hello\":%s",
        r->number, state_names[r->state], r->started_ms, r->connections, r->sessions,
        r->room, extra->sent, extra->hello ? "true" : "false");

    if (err == PEAL_OK)
        err = add_text(out, "name", r->name);
    if (err == PEAL_OK)
        err = add_text(out, "address", r->address);
    if (err == PEAL_OK)
        err = add_text(out, "version", r->version);
    if (err == PEAL_OK)
        err = add_private(out, r, extra, seal_key);
    if (err == PEAL_OK)
        err = add_hears(out, extra);
    return err == PEAL_OK ? peal_buf_add_char(out, '}') : err;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The digits of a string token, all of them hexadecimal. data NULL: something else. */
static struct peal_slice
hex_digits(struct peal_slice token)
{
    if (token.len < 2 || token.data[0] != '"')
        return peal_slice_of(NULL, 0);
    for (size_t i = 1; i + 1 < token.len; i++)
        if (hex_digit(token.data[i]) < 0)
            return peal_slice_of(NULL, 0);
    return peal_slice_of(token.data + 1, token.len - 2);
}

/* Reads n bytes of hexadecimal digits. false: it is not exactly so many. */
static bool
read_hex(struct peal_slice token, uint8_t *out, size_t n)
{
    struct peal_slice s = hex_digits(token);

    if (s.data == NULL || s.len != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(hex_digit(s.data[2 * i]) << 4 | hex_digit(s.data[2 * i + 1]));
    return true;
}

static uint32_t
read_number(const char *digits)
{
    uint32_t n = 0;

    for (int i = 0; i < 8; i++)
        n = n << 4 | (uint32_t)hex_digit(digits[i]);
    return n;
}

static void
read_hears(struct peal_slice token, struct peal_report_extra *extra)
{
    struct peal_slice s = hex_digits(token);

    if (s.data == NULL)
        return;
    extra->lists_hears = true;
    for (; s.len >= 8 && extra->n_hears < PEAL_REPORT_HEARS_MAX;
         s = peal_slice_skip(s, 8))
        extra->hears[extra->n_hears++] = read_number(s.data);
}

static void
read_text(struct peal_slice token, char *out, size_t size)
{
    struct peal_buf b = { 0 };
    size_t len;

    if (token.data[0] == '"' && peal_json_unquote(&b, token) == PEAL_OK) {
        len = b.len < size ? b.len : size - 1;
        while (len < b.len && len > 0 && ((unsigned char)b.data[len] & 0xc0) == 0x80)
            len--; /* no character is cut in two */
        if (len > 0)
            memcpy(out, b.data, len);
        out[len] = '\0';
    }
    peal_buf_fini(&b);
}

static int64_t
read_count(struct peal_slice token)
{
    uint64_t n;

    return peal_slice_u64(token, INT64_MAX, &n) == PEAL_OK ? (int64_t)n : 0;
}

static enum peal_node_state
read_state(struct peal_slice token)
{
    for (int i = 0; i <= PEAL_NODE_LEAVING; i++)
        if (peal_json_string_is(token, peal_slice_str(state_names[i])))
            return (enum peal_node_state)i;
    return PEAL_NODE_UP; /* what a later version may call otherwise */
}

/* Fields that must be found before others can be read. */
struct fields {
    struct peal_slice node, private;
};

static void
read_field(struct peal_slice key, struct peal_slice value, struct fields *f,
    struct peal_node_report *r, struct peal_report_extra *extra)
{
#define IS(name) peal_json_string_is(key, PEAL_S(name))
    if (IS("node"))
        f->node = hex_digits(value);
    else if (IS("private"))
        f->private = value;
    else if (IS("key"))
        (void)read_hex(value, extra->key.bytes, sizeof(extra->key.bytes));
    else if (IS("secret"))
        read_text(value, r->secret, sizeof(r->secret));
    else if (IS("state"))
        r->state = read_state(value);
    else if (IS("started"))
        r->started_ms = read_count(value);
    else if (IS("connections"))
        r->connections = read_count(value);
    else if (IS("sessions"))
        r->sessions = read_count(value);
    else if (IS("room"))
        r->room = read_count(value);
    else if (IS("sent"))
        extra->sent = (uint64_t)read_count(value);
    else if (IS("hello"))
        extra->hello = peal_slice_eq(value, PEAL_S("true"));
    else if (IS("hears"))
        read_hears(value, extra);
    else if (IS("hears_n"))
        extra->n_heard_in_all = (unsigned)read_count(value);
    else if (IS("name"))
        read_text(value, r->name, sizeof(r->name));
    else if (IS("address"))
        read_text(value, r->address, sizeof(r->address));
    else if (IS("version"))
        read_text(value, r->version, sizeof(r->version));
#undef IS
}

static void
read_private(struct peal_slice token, const struct peal_seal_key *seal_key,
    struct peal_node_report *r, struct peal_report_extra *extra)
{
    uint8_t bytes[PRIVATE_LEN], nonce[16];

    if (!read_hex(token, bytes, sizeof(bytes)))
        return;
    nonce_of(r->number, extra->sent, nonce);
    peal_seal_crypt(seal_key, nonce, bytes, sizeof(bytes));
    memcpy(extra->key.bytes, bytes, PEAL_SIPHASH_KEY_LEN);
    memcpy(r->secret, bytes + PEAL_SIPHASH_KEY_LEN, PEAL_NODE_SECRET_LEN);
    r->secret[PEAL_NODE_SECRET_LEN] = '\0';
}

/* Checks a text that goes into the head of a request to another node: a blank or a line's
 * end in it would begin a part or a header of its own. */
static bool
is_visible(const char *s, size_t min)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++)
        if (s[i] <= 0x20 || s[i] >= 0x7f)
            return false;
    return n >= min;
}

peal_err
peal_report_read(struct peal_slice text, const struct peal_seal_key *seal_key,
    struct peal_node_report *r, struct peal_report_extra *extra)
{
    struct peal_slice whole, rest, key, value;
    struct fields f = { { NULL, 0 }, { NULL, 0 } };
    size_t used;

    *r = (struct peal_node_report){ .state = PEAL_NODE_UP };
    *extra = (struct peal_report_extra){ 0 };
    if (peal_json_check(text) != PEAL_OK ||
        peal_json_skip(text, &whole, &used) != PEAL_OK || whole.data[0] != '{')
        return PEAL_EPROTO;
    /* Without a key that can be read, no id passes for one of that node. */
    peal_id_key_new(&extra->key);
    rest = peal_slice_of(whole.data + 1, whole.len - 2);
    while (peal_json_field(&rest, &key, &value))
        read_field(key, value, &f, r, extra);
    if (f.node.len != 8 || (r->number = read_number(f.node.data)) == 0)
        return PEAL_EPROTO;
    if (f.private.data != NULL && seal_key != NULL)
        read_private(f.private, seal_key, r, extra);
    if (!is_visible(r->address, 1) || !is_visible(r->secret, PEAL_NODE_SECRET_MIN))
        r->address[0] = r->secret[0] = '\0';
    return PEAL_OK;
}
