/* SPDX-License-Identifier: MIT */
/* Reports of nodes: what is read can be written and read again, and nothing that goes
 * into a request to another node can break out of its line. */
#include "fuzz.h"

#include "hub/node_report_priv.h"

static void
check(bool ok)
{
    if (!ok)
        abort();
}

static void
check_visible(const char *s)
{
    for (; *s != '\0'; s++)
        check(*s > 0x20 && *s < 0x7f);
}

static void
again(const struct peal_node_report *r, const struct peal_report_extra *extra,
    const struct peal_seal_key *key)
{
    struct peal_buf text = { 0 };
    struct peal_node_report back;
    struct peal_report_extra extra_back;

    if (peal_report_write(&text, r, extra, key) == PEAL_OK) {
        check(
            peal_report_read(peal_buf_slice(&text), key, &back, &extra_back) == PEAL_OK);
        check(back.number == r->number && back.state == r->state &&
              back.sessions == r->sessions && extra_back.sent == extra->sent &&
              extra_back.n_hears == extra->n_hears);
        check(
            strcmp(back.address, r->address) == 0 && strcmp(back.secret, r->secret) == 0);
        check(memcmp(&extra_back.key, &extra->key, sizeof(extra->key)) == 0);
    }
    peal_buf_fini(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct peal_seal_key key = { .text = { 1, 2, 3 } };
    struct peal_node_report r;
    struct peal_report_extra extra;

    for (unsigned sealed = 0; sealed < 2; sealed++) {
        const struct peal_seal_key *k = sealed ? &key : NULL;

        if (peal_report_read(peal_slice_of(data, size), k, &r, &extra) != PEAL_OK)
            continue;
        check(r.number != 0 && extra.n_hears <= PEAL_REPORT_HEARS_MAX);
        check_visible(r.address);
        check_visible(r.secret);
        check((r.address[0] == '\0') == (r.secret[0] == '\0'));
        again(&r, &extra, k);
    }
    return 0;
}
