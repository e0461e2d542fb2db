/* SPDX-License-Identifier: MIT */
/* The command line: which command it is. */
#include <stdio.h>

#include "base/suggest.h"
#include "bench/bench.h"
#include "cli/cli.h"
#include "config/yaml.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static int print_version(int argc, char **argv);
static int print_help(int argc, char **argv);

static const struct command commands[] = {
    { "serve", peal_cli_serve, "run a node" },
    { "check", peal_cli_check, "validate a configuration" },
    { "config", peal_cli_config, "print the options, or the values in force" },
    { "publish", peal_cli_publish, "publish on a channel through a node's API" },
    { "emit", peal_cli_emit, "emit an event to Socket.IO clients through a node's API" },
    { "bench", peal_bench_main, "load a server and measure it" },
    { "version", print_version, "print the version" },
    { "help", print_help, "print this, or the help of a command" },
};

#define COMMAND_N (sizeof(commands) / sizeof(*commands))

static const struct command *
find(const char *name)
{
    for (unsigned i = 0; i < COMMAND_N; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void
write_help(FILE *to)
{
    fputs("usage: peal COMMAND [options]\n\n"
          "Peal delivers what anyone publishes to everyone who should hear it, over\n"
          "Socket.IO, WebSocket and SSE.\n\n",
        to);
    for (unsigned i = 0; i < COMMAND_N; i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].help);
    fputs("\n`peal COMMAND --help` explains one. To try it: peal serve --dev\n", to);
}

static int
print_version(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0) {
        fprintf(stderr, "peal version: takes no options\n");
        return PEAL_EXIT_USAGE;
    }
    puts(argc > 1 ? "usage: peal version" : "peal " PEAL_VERSION);
    return PEAL_EXIT_OK;
}

static int
complain_unknown(const char *word)
{
    const char *names[COMMAND_N + 1] = { NULL }, *near;

    for (unsigned i = 0; i < COMMAND_N; i++)
        names[i] = commands[i].name;
    near = peal_text_suggest(peal_slice_str(word), names);
    if (near != NULL)
        fprintf(stderr, "peal: no command \"%s\"; did you mean %s?\n", word, near);
    else
        fprintf(stderr, "peal: no command \"%s\"; see `peal help`\n", word);
    return PEAL_EXIT_USAGE;
}

static int
print_help(int argc, char **argv)
{
    char *asked[] = { NULL, "--help", NULL };
    const struct command *c;

    if (argc < 2 || argv[1][0] == '-' || strcmp(argv[1], "help") == 0) {
        write_help(stdout);
        return PEAL_EXIT_OK;
    }
    if ((c = find(argv[1])) == NULL)
        return complain_unknown(argv[1]);
    asked[0] = argv[1];
    return c->run(2, asked);
}

int
main(int argc, char **argv)
{
    const struct command *c;

    if (argc < 2) {
        write_help(stderr);
        return PEAL_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help(0, NULL);
    if (strcmp(argv[1], "--version") == 0)
        return print_version(0, NULL);
    if ((c = find(argv[1])) == NULL)
        return complain_unknown(argv[1]);
    return c->run(argc - 1, argv + 1);
}
