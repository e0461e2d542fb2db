/* SPDX-License-Identifier: MIT */
/* Chunked bodies: cut in two anywhere (the first byte says where), the data are the same.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "wire/http_body.h"

static peal_err
decode(struct peal_chunked *c, const char *in, size_t len, struct peal_buf *out)
{
    peal_err err = PEAL_OK;

    while (err == PEAL_OK && !c->done && len > 0) {
        struct peal_slice part = { NULL, 0 };
        size_t used = 0;

        err = peal_chunked_decode(c, in, len, &used, &part);
        if (used > len || (err == PEAL_OK && used == 0))
            abort();
        if (part.len > 0 && peal_buf_add_slice(out, part) != PEAL_OK)
            abort();
        in += used;
        len -= used;
    }
    return err;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peal_chunked one, two;
    struct peal_buf whole = { 0 }, parts = { 0 };
    const char *in = (const char *)data + 1;
    size_t cut;
    peal_err err, err_two;

    if (size < 2)
        return 0;
    cut = data[0] % size;
    peal_chunked_init(&one, 1000);
    peal_chunked_init(&two, 1000);
    err = decode(&one, in, size - 1, &whole);
    err_two = decode(&two, in, cut, &parts);
    if (err_two == PEAL_OK || err_two == PEAL_EAGAIN)
        err_two = decode(&two, in + cut, size - 1 - cut, &parts);
    if (one.done != two.done ||
        (one.done && (whole.len != parts.len || whole.len > 1000)))
        abort();
    if (one.done && whole.len > 0 && memcmp(whole.data, parts.data, whole.len) != 0)
        abort();
    (void)err;
    (void)err_two;
    peal_buf_fini(&whole);
    peal_buf_fini(&parts);
    return 0;
}
