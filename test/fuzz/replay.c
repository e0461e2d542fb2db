/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target on every file of some folders, whole and cut off after each byte. */
#include <dirent.h>
#include <stdio.h>

#include "fuzz.h"

#define CUTS_MAX 512 /* beginnings of one file */

/* The target gets a copy of exactly that size, so that a sanitizer sees its end. */
static void
run(const char *bytes, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);

    if (copy == NULL)
        abort();
    if (n > 0)
        memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void
run_file(const char *dir, const char *name)
{
    static char bytes[1 << 20];
    char path[4096];
    FILE *f;
    size_t n;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if ((f = fopen(path, "r")) == NULL) {
        perror(path);
        exit(1);
    }
    n = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    for (size_t cut = 0; cut < n && cut < CUTS_MAX; cut++)
        run(bytes, cut);
    run(bytes, n);
}

int
main(int argc, char **argv)
{
    unsigned n = 0;

    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        const struct dirent *e;

        if (d == NULL) {
            perror(argv[i]);
            return 1;
        }
        while ((e = readdir(d)) != NULL) {
            if (e->d_name[0] == '.')
                continue;
            run_file(argv[i], e->d_name);
            n++;
        }
        closedir(d);
    }
    printf("%u inputs\n", n);
    return n > 0 ? 0 : 1;
}
