/* SPDX-License-Identifier: MIT */
/* A certificate and its key in files, for tests whose server speaks TLS. */
#ifndef TEST_CERT_H
#define TEST_CERT_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/peal-test-XXXXXX";
static char cert[64], key[64];

/* A self-signed certificate, in files. */
static inline int
make_certificate(void **state)
{
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *name = x ? X509_get_subject_name(x) : NULL;
    FILE *f;
    int ok;

    if (pair == NULL || name == NULL || mkdtemp(dir) == NULL)
        return -1;
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, pair);
    ok = X509_sign(x, pair, EVP_sha256()) > 0;
    snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
    snprintf(key, sizeof(key), "%s/key.pem", dir);
    ok = ok && (f = fopen(cert, "w")) != NULL && PEM_write_X509(f, x) == 1 &&
         fclose(f) == 0;
    ok = ok && (f = fopen(key, "w")) != NULL &&
         PEM_write_PrivateKey(f, pair, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0;
    X509_free(x);
    EVP_PKEY_free(pair);
    return ok ? 0 : -1;
}

static inline int
remove_certificate(void **state)
{
    unlink(cert);
    unlink(key);
    return rmdir(dir);
}

#endif
