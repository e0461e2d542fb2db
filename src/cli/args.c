/* SPDX-License-Identifier: MIT */
/* Command lines: reading options, and loading the configuration they name. */
#include "cli/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/suggest.h"
#include "cli/cli.h"

int
peal_args_complain(const char *command, const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "peal %s: ", command);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nSee `peal %s --help`.\n", command);
    return PEAL_EXIT_USAGE;
}

/* A letter, or a name of len bytes. */
static const struct peal_arg *
find(const struct peal_arg *args, char letter, const char *name, size_t len)
{
    for (; args->name != NULL; args++)
        if (letter != 0
                ? args->letter == letter
                : strlen(args->name) == len && strncmp(args->name, name, len) == 0)
            return args;
    return NULL;
}

static int
complain_unknown(const char *command, const struct peal_arg *args, const char *word)
{
    const char *names[PEAL_ARGS_MAX + 2] = { "help" }, *near = NULL;
    struct peal_slice name = peal_slice_str(word);

    for (unsigned i = 0; args[i].name != NULL && i < PEAL_ARGS_MAX; i++)
        names[i + 1] = args[i].name;
    if (word[1] == '-') {
        name = peal_slice_skip(name, 2);
        near = peal_text_suggest(peal_slice_cut(&name, '='), names);
    }
    if (near != NULL)
        return peal_args_complain(
            command, "unknown option %s; did you mean --%s?", word, near);
    return peal_args_complain(command, "unknown option %s", word);
}

/* Reads the option at argv[*i] and steps over it. -1: go on. */
static int
take(const char *command, const struct peal_arg *args, char **argv, int *i)
{
    const char *word = argv[*i];
    const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t len = equals != NULL ? (size_t)(equals - word) : strlen(word);
    const struct peal_arg *arg =
        word[1] == '-' ? find(args, 0, word + 2, len - 2) : find(args, word[1], NULL, 0);
    const char *value = equals != NULL ? equals + 1 : NULL;

    if (arg == NULL)
        return complain_unknown(command, args, word);
    (*i)++;
    if (word[1] != '-' && word[2] != '\0')
        value = word + 2; /* -cFILE */
    if (arg->flag != NULL) {
        *arg->flag = true;
        return value == NULL ? -1
                             : peal_args_complain(command, "%s takes no value", word);
    }
    if (value == NULL && (value = argv[*i]) != NULL)
        (*i)++;
    if (value == NULL)
        return peal_args_complain(command, "%s needs a value", word);
    if (arg->value != NULL)
        *arg->value = value;
    else
        arg->values[(*arg->n_values)++] = value;
    return -1;
}

int
peal_args_read(const char *command, const char *help, const struct peal_arg *args,
    int argc, char **argv, int *rest)
{
    int n_rest = 0, status = -1;
    bool only_words = false;

    for (int i = 1; i < argc && status < 0;) {
        char *word = argv[i];

        if (!only_words && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            fputs(help, stdout);
            return PEAL_EXIT_OK;
        }
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
            i++;
        } else if (!only_words && word[0] == '-' && word[1] != '\0') {
            status = take(command, args, argv, &i);
        } else if (rest == NULL) {
            status = peal_args_complain(command, "what is \"%s\" for?", word);
        } else {
            argv[1 + n_rest++] = word;
            i++;
        }
    }
    if (rest != NULL)
        *rest = n_rest;
    return status;
}

int
peal_config_args_read(const char *command, const char *help, const struct peal_arg *flags,
    int argc, char **argv, struct peal_config_args *out)
{
    struct peal_arg args[PEAL_ARGS_MAX + 1] = {
        { .name = "config", .letter = 'c', .value = &out->in.file },
        { .name = "dev", .flag = &out->in.dev },
        { .name = "set", .n_values = &out->in.n_sets },
    };
    unsigned n = 3;

    *out = (struct peal_config_args){ .in.env = (const char *const *)environ };
    out->sets = calloc((size_t)argc + 1, sizeof(*out->sets));
    if (out->sets == NULL) {
        fprintf(stderr, "peal %s: out of memory\n", command);
        return PEAL_EXIT_FAILED;
    }
    out->in.sets = args[2].values = out->sets;
    for (; flags != NULL && flags->name != NULL && n < PEAL_ARGS_MAX; flags++)
        args[n++] = *flags;
    return peal_args_read(command, help, args, argc, argv, NULL);
}

void
peal_config_args_fini(struct peal_config_args *a)
{
    free(a->sets);
    *a = (struct peal_config_args){ 0 };
}

int
peal_config_load(const struct peal_config_args *a, struct peal_options **out)
{
    struct peal_buf errors = { 0 };
    peal_err err = peal_options_load(&a->in, out, &errors);

    if (errors.len > 0)
        fwrite(errors.data, 1, errors.len, stderr);
    if (err != PEAL_OK && err != PEAL_EINVAL)
        fprintf(stderr, "peal: %s\n", peal_err_text(err));
    peal_buf_fini(&errors);
    return err == PEAL_OK ? PEAL_EXIT_OK : PEAL_EXIT_FAILED;
}
