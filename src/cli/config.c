/* SPDX-License-Identifier: MIT */
/* peal config: the option table, and what is in force. */
#include <stdio.h>

#include "cli/args.h"
#include "cli/cli.h"
#include "cli/list_priv.h"

static const char help[] =
    "usage: peal config [--defaults | --effective | --env | --markdown | --man]\n"
    "                   [-c FILE] [--set KEY=VALUE]... [--dev]\n"
    "\n"
    "Prints the options.\n"
    "\n"
    "      --defaults      all, explained, as a file to start from (this if none is "
    "given)\n"
    "      --effective     the values that `peal serve` would use, and who set them;\n"
    "                      secrets as ***\n"
    "      --env           the names of the environment variables, with defaults\n"
    "      --markdown      the table in docs/OPTIONS.md\n"
    "      --man           the section of the man page\n"
    "\n"
    "With --effective:\n" PEAL_CONFIG_ARGS_HELP "\n"
    "Exit status: 0; 1 the configuration is wrong; 2 wrong command line.\n";

static int
print(peal_err err, struct peal_buf *out)
{
    if (err != PEAL_OK)
        fprintf(stderr, "peal config: %s\n", peal_err_text(err));
    else
        fwrite(out->data, 1, out->len, stdout);
    peal_buf_fini(out);
    if (fflush(stdout) != 0)
        err = PEAL_EIO;
    return err == PEAL_OK ? PEAL_EXIT_OK : PEAL_EXIT_FAILED;
}

static int
print_effective(const struct peal_config_args *args)
{
    struct peal_options *o = NULL;
    struct peal_buf out = { 0 };
    int status = peal_config_load(args, &o);

    if (status != PEAL_EXIT_OK)
        return status;
    status = print(peal_list_effective(o, &out), &out);
    peal_options_free(&o);
    return status;
}

int
peal_cli_config(int argc, char **argv)
{
    bool defaults = false, effective = false, env = false, markdown = false, man = false;
    const struct peal_arg flags[] = {
        { .name = "defaults", .flag = &defaults },
        { .name = "effective", .flag = &effective },
        { .name = "env", .flag = &env },
        { .name = "markdown", .flag = &markdown },
        { .name = "man", .flag = &man },
        { 0 },
    };
    struct peal_config_args args;
    struct peal_buf out = { 0 };
    int status = peal_config_args_read("config", help, flags, argc, argv, &args);

    if (status < 0 && defaults + effective + env + markdown + man > 1)
        status = peal_args_complain("config", "one form at a time");
    if (status < 0 && !effective && (args.in.file || args.in.n_sets > 0 || args.in.dev))
        status = peal_args_complain("config", "-c, --set and --dev need --effective");
    if (status < 0)
        status = effective  ? print_effective(&args)
                 : env      ? print(peal_list_env(&out), &out)
                 : markdown ? print(peal_list_markdown(&out), &out)
                 : man      ? print(peal_list_man(&out), &out)
                            : print(peal_list_defaults(&out), &out);
    peal_config_args_fini(&args);
    return status;
}
