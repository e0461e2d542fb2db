/* SPDX-License-Identifier: MIT */
/* hub/seal: only who knows the secret makes a seal that opens, and on that topic only. */
#include "check.h"

#include "hub/seal.h"

static const struct peal_slice first = { "0123456789abcdef", 16 };
static const struct peal_slice second = { "fedcba9876543210", 16 };

static struct peal_seal
seal_of(const struct peal_slice *secrets, unsigned n)
{
    struct peal_seal s;

    CHECK_OK(peal_seal_init(&s, secrets, n));
    return s;
}

/* payload with its seal; in a buffer of the caller's. */
static struct peal_slice
sealed(const struct peal_seal *s, const char *topic, const char *payload, char out[64])
{
    size_t n = strlen(payload);

    CHECK(PEAL_SEAL_HEAD + n <= 64);
    peal_seal_head(s, peal_slice_str(topic), peal_slice_str(payload), out);
    memcpy(out + PEAL_SEAL_HEAD, payload, n);
    return peal_slice_of(out, PEAL_SEAL_HEAD + n);
}

static void
what_was_sealed_opens_on_its_topic_only(void **state)
{
    const struct peal_seal s = seal_of(&first, 1), other = seal_of(&second, 1);
    const struct peal_seal_key *key;
    struct peal_slice bytes, payload;
    char text[64];

    bytes = sealed(&s, "t:nodes", "hello", text);
    CHECK_OK(peal_seal_open(&s, PEAL_S("t:nodes"), bytes, &payload, &key));
    CHECK_SLICE(payload, "hello");
    CHECK(key == &s.keys[0]);
    CHECK_ERR(peal_seal_open(&s, PEAL_S("t:all"), bytes, &payload, &key), PEAL_EPERM);
    CHECK_ERR(
        peal_seal_open(&other, PEAL_S("t:nodes"), bytes, &payload, &key), PEAL_EPERM);
    CHECK(key == NULL);
    bytes = sealed(&s, "t:nodes", "", text);
    CHECK_OK(peal_seal_open(&s, PEAL_S("t:nodes"), bytes, &payload, &key));
    CHECK_INT(payload.len, 0);
}

static void
no_byte_of_it_can_be_changed(void **state)
{
    const struct peal_seal s = seal_of(&first, 1);
    const struct peal_seal_key *key;
    struct peal_slice bytes, payload;
    char text[64];

    bytes = sealed(&s, "t:nodes", "some payload", text);
    for (size_t i = 0; i < bytes.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            text[i] = (char)(text[i] ^ 1 << bit);
            CHECK_ERR(
                peal_seal_open(&s, PEAL_S("t:nodes"), bytes, &payload, &key), PEAL_EPERM);
            text[i] = (char)(text[i] ^ 1 << bit);
        }
    for (size_t len = 0; len < bytes.len; len++)
        CHECK_ERR(peal_seal_open(
                      &s, PEAL_S("t:nodes"), peal_slice_of(text, len), &payload, &key),
            PEAL_EPERM);
}

static void
with_and_without_a_secret_nothing_is_shared(void **state)
{
    const struct peal_seal s = seal_of(&first, 1), none = seal_of(NULL, 0);
    const struct peal_seal_key *key;
    struct peal_slice bytes, payload;
    char text[64];

    bytes = sealed(&s, "t:all", "hello", text);
    CHECK_ERR(peal_seal_open(&none, PEAL_S("t:all"), bytes, &payload, &key), PEAL_EPERM);
    CHECK_ERR(
        peal_seal_open(&s, PEAL_S("t:all"), PEAL_S("P\x01 and so on"), &payload, &key),
        PEAL_EPERM);
    CHECK_OK(peal_seal_open(&none, PEAL_S("t:all"), PEAL_S("hello"), &payload, &key));
    CHECK_SLICE(payload, "hello");
    CHECK(key == NULL);
}

/* The secret is changed while nodes run: each step is fine with the one before. */
static void
a_secret_can_be_replaced_step_by_step(void **state)
{
    const struct peal_slice both[] = { first, second }, swapped[] = { second, first };
    const struct peal_seal steps[] = { seal_of(&first, 1), seal_of(both, 2),
        seal_of(swapped, 2), seal_of(&second, 1) };
    const struct peal_seal_key *key;
    struct peal_slice payload;
    char text[64];

    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < 4; k++) {
            peal_err err = peal_seal_open(&steps[k], PEAL_S("t"),
                sealed(&steps[i], "t", "x", text), &payload, &key);

            if (i + 1 >= k && k + 1 >= i)
                CHECK_OK(err);
            if ((i == 0 && k == 3) || (i == 3 && k == 0))
                CHECK_ERR(err, PEAL_EPERM);
        }
}

static void
private_text_needs_the_key_and_the_nonce(void **state)
{
    const struct peal_seal s = seal_of(&first, 1), other = seal_of(&second, 1);
    const uint8_t nonce[16] = { 1 }, another[16] = { 2 };
    char text[64], copy[64];

    for (size_t len = 0; len < sizeof(text); len++) {
        memset(text, 'x', sizeof(text));
        memset(copy, 'x', sizeof(copy));
        peal_seal_crypt(&s.keys[0], nonce, text, len);
        CHECK_INT(memcmp(text, copy, len) != 0, len > 0);
        CHECK_MEM(text + len, sizeof(text) - len, copy + len, sizeof(copy) - len);
        peal_seal_crypt(&s.keys[0], another, copy, len);
        CHECK_INT(memcmp(text, copy, len) != 0, len > 0);
        peal_seal_crypt(&s.keys[0], another, copy, len);
        peal_seal_crypt(&other.keys[0], nonce, copy, len);
        CHECK_INT(memcmp(text, copy, len) != 0, len > 0);
        peal_seal_crypt(&s.keys[0], nonce, text, len);
        memset(copy, 'x', sizeof(copy));
        CHECK_MEM(text, len, copy, len);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_opens_on_its_topic_only),
        cmocka_unit_test(no_byte_of_it_can_be_changed),
        cmocka_unit_test(with_and_without_a_secret_nothing_is_shared),
        cmocka_unit_test(a_secret_can_be_replaced_step_by_step),
        cmocka_unit_test(private_text_needs_the_key_and_the_nonce),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
