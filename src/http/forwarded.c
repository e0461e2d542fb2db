/* SPDX-License-Identifier: MIT */
/*
 * The header line by which a node that forwards a request vouches for its client. Only a
 * node with the right secret is believed; a client that sends such a line is refused.
 */
#include "http/forwarded_priv.h"

/* The value of the field: who asks, says a node that knows the secret. */
static bool
read_field(struct peal_slice value, const char *secret, struct peal_addr *client_out,
    bool *secure_out)
{
    struct peal_slice said = peal_slice_cut(&value, ' '),
                      address = peal_slice_cut(&value, ' ');

    *client_out = (struct peal_addr){ 0 };
    if (!peal_slice_eq_consttime(said, peal_slice_str(secret)))
        return false;
    if (peal_slice_eq(address, PEAL_S("unix")))
        client_out->kind = PEAL_ADDR_UNIX;
    else if (!peal_slice_eq(address, PEAL_S("unknown")) &&
             peal_addr_parse_ip(address, client_out) != PEAL_OK)
        return false;
    *secure_out = peal_slice_eq(value, PEAL_S("https"));
    return *secure_out || peal_slice_eq(value, PEAL_S("http"));
}

unsigned
peal_http_forwarded_check(const struct peal_httphead *head, const char *secret,
    struct peal_addr *client_out, bool *secure_out)
{
    struct peal_slice value;
    unsigned i = 0;
    bool there = peal_httphead_next(head, PEAL_S(PEAL_FORWARD_FIELD), &i, &value);

    if (secret == NULL)
        return there ? 400 : 0;
    /* A node adds it before whatever a client may have written. */
    if (!there || i != 1 ||
        peal_httphead_next(head, PEAL_S(PEAL_FORWARD_FIELD), &i, &value) ||
        !read_field(head->headers[0].value, secret, client_out, secure_out))
        return 403;
    return 0;
}
