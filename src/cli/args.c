/* SPDX-License-Identifier: MIT */
/*
 * Command lines: options are read by getopt_long, words keep their order, and a mistake
 * is told with the nearest option there is. Then the configuration that they name is
 * loaded.
 */
#include "cli/args.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/suggest.h"
#include "cli/cli.h"

#define FIRST_ARG 256 /* number of the first option, beyond all letters */

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

/* A command's options in the form that getopt_long takes. */
struct spec {
    struct option longs[PEAL_ARGS_MAX + 2];
    char shorts[2 * PEAL_ARGS_MAX + 4];
};

static void
spec_make(const struct peal_arg *args, struct spec *s)
{
    unsigned n = 0;
    char *at = s->shorts;

    *s = (struct spec){ .longs[0] = { "help", no_argument, NULL, 'h' } };
    /* Words come in their order, and a missing value is told apart. */
    at = stpcpy(at, "-:h");
    for (; args[n].name != NULL; n++) {
        PEAL_ASSERT(n < PEAL_ARGS_MAX);
        s->longs[n + 1] = (struct option){ args[n].name,
            args[n].flag != NULL ? no_argument : required_argument, NULL,
            (int)(FIRST_ARG + n) };
        if (args[n].letter != 0) {
            *at++ = args[n].letter;
            if (args[n].flag == NULL)
                *at++ = ':';
        }
    }
}

/* The option that getopt_long has found, by its letter or number. */
static const struct peal_arg *
arg_of(const struct peal_arg *args, int found)
{
    if (found >= FIRST_ARG)
        return &args[found - FIRST_ARG];
    while (args->letter != found)
        args++;
    return args;
}

/* getopt_long also takes the beginning of a name; a script that relies on it would break
 * with the next option. */
static bool
is_abbreviated(const char *word, const char *name)
{
    size_t len = strcspn(word + 2, "=");

    return strlen(name) != len || strncmp(word + 2, name, len) != 0;
}

static void
arg_set(const struct peal_arg *arg, const char *value)
{
    if (arg->flag != NULL)
        *arg->flag = true;
    else if (arg->value != NULL)
        *arg->value = value;
    else
        arg->values[(*arg->n_values)++] = value;
}

/* Deals with what getopt_long has found. -1: go on. */
static int
take(const char *command, const char *help, const struct peal_arg *args, char **argv,
    int found, int index)
{
    bool apart = optarg != NULL && optarg == argv[optind - 1];
    const char *word = argv[apart ? optind - 2 : optind - 1];

    if (found == '?' && optopt >= FIRST_ARG)
        return peal_args_complain(command, "%s takes no value", word);
    if (found == ':')
        return peal_args_complain(command, "%s needs a value", word);
    /* A letter in the middle of a word: getopt_long has not stepped over it yet. */
    if (found == '?' && optopt != 0 &&
        (word[0] != '-' || word[1] == '-' || strchr(word, optopt) == NULL))
        word = argv[optind];
    if (found == '?' ||
        (index >= 0 &&
            is_abbreviated(word, found == 'h' ? "help" : arg_of(args, found)->name)))
        return complain_unknown(command, args, word);
    if (found == 'h') {
        fputs(help, stdout);
        return PEAL_EXIT_OK;
    }
    arg_set(arg_of(args, found), optarg);
    return -1;
}

int
peal_args_read(const char *command, const char *help, const struct peal_arg *args,
    int argc, char **argv, int *rest)
{
    int n_rest = 0, status = -1, found = 0, index;
    struct spec s;

    spec_make(args, &s);
    optind = 0; /* glibc: begin anew */
    opterr = 0;
    while (status < 0) {
        index = -1;
        optarg = NULL;
        if (found != -1)
            found = getopt_long(argc, argv, s.shorts, s.longs, &index);
        if (found == -1 && optind >= argc)
            break;
        if (found == -1) /* after "--" there are only words */
            optarg = argv[optind++];
        if (found != -1 && found != 1)
            status = take(command, help, args, argv, found, index);
        else if (rest == NULL)
            status = peal_args_complain(command, "unexpected argument \"%s\"", optarg);
        else
            argv[1 + n_rest++] = optarg;
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
