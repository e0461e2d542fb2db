/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>

#define SETS_MAX 64

struct sets {
    const char *v[SETS_MAX];
    unsigned n;
    char listen[128];
};

static int
usage(const char *name)
{
    fprintf(stderr, "usage: %s [--listen host:port] [--set key=value]...\n", name);
    return 2;
}

static bool
has_key(const struct sets *s, const char *setting)
{
    size_t len = strcspn(setting, "=") + 1;

    for (unsigned i = 0; i < s->n; i++)
        if (strncmp(s->v[i], setting, len) == 0)
            return true;
    return false;
}

static bool
read_arguments(struct sets *s, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        if (s->n == SETS_MAX)
            return false;
        if (strcmp(argv[i], "--set") == 0) {
            s->v[s->n++] = argv[i + 1];
        } else if (strcmp(argv[i], "--listen") == 0) {
            snprintf(s->listen, sizeof(s->listen), "listen=%s", argv[i + 1]);
            s->v[s->n++] = s->listen;
        } else {
            return false;
        }
    }
    return argc % 2 == 1;
}

int
run_server(int argc, char **argv, const struct peal_program *program,
    const char *const *defaults)
{
    struct sets sets = { 0 };
    struct peal_buf errors = { 0 };
    struct peal_options *o = NULL;
    int status = 1;

    if (!read_arguments(&sets, argc, argv))
        return usage(argv[0]);
    for (; *defaults != NULL && sets.n < SETS_MAX; defaults++)
        if (!has_key(&sets, *defaults))
            sets.v[sets.n++] = *defaults;
    if (peal_options_load(&(struct peal_option_input){ .sets = sets.v, .n_sets = sets.n },
            &o, &errors) == PEAL_OK)
        status = peal_serve(o, program);
    else
        fprintf(stderr, "%.*s", (int)errors.len, errors.len > 0 ? errors.data : "");
    peal_options_free(&o);
    peal_buf_fini(&errors);
    return status;
}
