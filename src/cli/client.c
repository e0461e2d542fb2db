/* SPDX-License-Identifier: MIT */
/* peal publish, peal emit: a message through a node's HTTP API. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/http_call.h"

#define SERVER_DEFAULT "http://127.0.0.1:8080"

#define COMMON_HELP                                                                      \
    "      --server URL    http://host:port or unix:/path (" SERVER_DEFAULT ")\n"        \
    "      --key KEY       a key of the node's option api.key; better, as others can\n"  \
    "                      see a command line: the variable PEAL_API_KEY\n"              \
    "      --text          DATA is text, even if it looks like JSON\n"                   \
    "  -h, --help          print this\n"                                                 \
    "\n"                                                                                 \
    "Exit status: 0 it was accepted; 1 it was not; 2 wrong command line.\n"

static const char publish_help[] =
    "usage: peal publish [--server URL] [--key KEY] [--event NAME] CHANNEL [DATA]\n"
    "\n"
    "Publishes a message on a channel, for clients of every protocol. DATA is JSON, or\n"
    "else text; - reads it from standard input.\n"
    "\n"
    "  -e, --event NAME    what Socket.IO and EventSource clients listen to "
    "(message)\n" COMMON_HELP "\n"
    "  peal publish orders '{\"id\":7}' --event created\n";

static const char emit_help[] =
    "usage: peal emit [--server URL] [--key KEY] [--room NAME]... EVENT [DATA]...\n"
    "\n"
    "Emits an event to Socket.IO clients, as io.of(NAME).to(rooms).emit(EVENT, ...) "
    "would.\n"
    "Each DATA is JSON, or else text; - reads one from standard input.\n"
    "\n"
    "  -n, --namespace N   a namespace (/)\n"
    "  -r, --room NAME     a room; may be repeated. Without: the whole namespace\n"
    "      --except NAME   a room that is left out; may be repeated\n" COMMON_HELP "\n"
    "  peal emit --room lobby say hello '{\"from\":\"cron\"}'\n";

/* What both commands are told. */
struct call {
    const char *command;
    const char *server, *key;
    bool text;
    struct peal_buf body;
};

static peal_err
add_json(struct peal_buf *out, const char *before, const char *text)
{
    peal_err err = peal_buf_add_slice(out, peal_slice_str(before));

    return err == PEAL_OK ? peal_json_quote(out, peal_slice_str(text)) : err;
}

static peal_err
add_names(struct peal_buf *out, const char *before, const char **names, unsigned n)
{
    peal_err err = n > 0 ? peal_buf_add_slice(out, peal_slice_str(before)) : PEAL_OK;

    for (unsigned i = 0; i < n && err == PEAL_OK; i++)
        err = add_json(out, i == 0 ? "[" : ",", names[i]);
    return err == PEAL_OK && n > 0 ? peal_buf_add_char(out, ']') : err;
}

static peal_err
read_stdin(struct peal_buf *out)
{
    size_t n;

    do {
        if (peal_buf_reserve(out, 65536) != PEAL_OK)
            return PEAL_ENOMEM;
        n = fread(out->data + out->len, 1, 65536, stdin);
        out->len += n;
    } while (n > 0);
    return ferror(stdin) ? PEAL_EIO : PEAL_OK;
}

/* DATA of the command line: JSON as it is, anything else as a string. */
static peal_err
add_data(struct call *c, const char *before, const char *word)
{
    struct peal_slice data = peal_slice_str(word);
    struct peal_buf in = { 0 };
    peal_err err = PEAL_OK;

    if (strcmp(word, "-") == 0) {
        err = read_stdin(&in);
        data = peal_buf_slice(&in);
    }
    if (err == PEAL_OK)
        err = peal_buf_add_slice(&c->body, peal_slice_str(before));
    if (err == PEAL_OK && !c->text && peal_json_check(data) == PEAL_OK)
        err = peal_buf_add_slice(&c->body, data);
    else if (err == PEAL_OK && peal_utf8_valid(data))
        err = peal_json_quote(&c->body, data);
    else if (err == PEAL_OK)
        err = PEAL_EPROTO; /* said below */
    peal_buf_fini(&in);
    return err;
}

/* The API says {"error":{"code":...,"message":...}}. */
static bool
find_message(struct peal_slice body, struct peal_buf *out)
{
    struct peal_slice rest, key, value = { NULL, 0 };
    static const char *const path[] = { "error", "message" };
    size_t used;

    if (peal_json_check(body) != PEAL_OK ||
        peal_json_skip(body, &value, &used) != PEAL_OK)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        bool found = false;

        if (value.len < 2 || value.data[0] != '{')
            return false;
        rest = peal_slice_of(value.data + 1, value.len - 2);
        while (!found && peal_json_field(&rest, &key, &value))
            found = peal_json_string_is(key, peal_slice_str(path[i]));
        if (!found)
            return false;
    }
    return value.data[0] == '"' && peal_json_unquote(out, value) == PEAL_OK;
}

static int
report(const struct call *c, unsigned status, struct peal_slice answer)
{
    struct peal_buf message = { 0 };

    if (status >= 200 && status < 300)
        return PEAL_EXIT_OK;
    if (find_message(answer, &message))
        fprintf(stderr, "peal %s: refused (%u): %.*s\n", c->command, status,
            (int)message.len, message.data);
    else
        fprintf(stderr, "peal %s: refused (%u)\n", c->command, status);
    peal_buf_fini(&message);
    return PEAL_EXIT_FAILED;
}

/* Posts the body, unless making it failed. Releases c. */
static int
post(struct call *c, const char *path, peal_err err)
{
    struct peal_buf answer = { 0 }, why = { 0 };
    const char *key = c->key != NULL ? c->key : getenv("PEAL_API_KEY");
    char first[256] = "";
    unsigned status = 0;
    int exit_status = PEAL_EXIT_FAILED;

    if (key != NULL) /* the variable may list several for the server */
        snprintf(first, sizeof(first), "%.*s", (int)strcspn(key, ","), key);
    if (err == PEAL_EPROTO)
        fprintf(stderr, "peal %s: the data is not UTF-8 text\n", c->command);
    else if (strpbrk(first, "\r\n") != NULL)
        fprintf(stderr, "peal %s: the key has a line break\n", c->command);
    else if (err != PEAL_OK ||
             (err = peal_http_call(c->server, *first ? first : NULL, path,
                  peal_buf_slice(&c->body), &status, &answer, &why)) != PEAL_OK)
        fprintf(stderr, "peal %s: %.*s\n", c->command,
            why.len > 0 ? (int)why.len : (int)strlen(peal_err_text(err)),
            why.len > 0 ? why.data : peal_err_text(err));
    else
        exit_status = report(c, status, peal_buf_slice(&answer));
    peal_buf_fini(&answer);
    peal_buf_fini(&why);
    peal_buf_fini(&c->body);
    return exit_status;
}

int
peal_cli_publish(int argc, char **argv)
{
    struct call c = { .command = "publish", .server = SERVER_DEFAULT };
    const char *event = NULL;
    const struct peal_arg args[] = {
        { .name = "server", .value = &c.server },
        { .name = "key", .value = &c.key },
        { .name = "text", .flag = &c.text },
        { .name = "event", .letter = 'e', .value = &event },
        { 0 },
    };
    int n_words, status;
    peal_err err;

    status = peal_args_read(c.command, publish_help, args, argc, argv, &n_words);
    if (status >= 0)
        return status;
    if (n_words < 1 || n_words > 2)
        return peal_args_complain(c.command, "expected CHANNEL and DATA");
    err = add_json(&c.body, "{\"channel\":", argv[1]);
    if (err == PEAL_OK && event != NULL)
        err = add_json(&c.body, ",\"event\":", event);
    if (err == PEAL_OK && n_words == 2)
        err = add_data(&c, ",\"data\":", argv[2]);
    if (err == PEAL_OK)
        err = peal_buf_add_char(&c.body, '}');
    return post(&c, "/api/publish", err);
}

/* What is emitted where; lists have room for all words of the command line. */
struct emit {
    const char *nsp;
    const char **rooms, **except;
    unsigned n_rooms, n_except;
};

static peal_err
build_emit(struct call *c, const struct emit *e, char **words, int n_words)
{
    peal_err err = add_json(&c->body, "{\"namespace\":", e->nsp);

    if (err == PEAL_OK)
        err = add_names(&c->body, ",\"rooms\":", e->rooms, e->n_rooms);
    if (err == PEAL_OK)
        err = add_names(&c->body, ",\"except\":", e->except, e->n_except);
    if (err == PEAL_OK)
        err = add_json(&c->body, ",\"event\":", words[0]);
    for (int i = 1; i < n_words && err == PEAL_OK; i++)
        err = add_data(c, i == 1 ? ",\"args\":[" : ",", words[i]);
    if (err == PEAL_OK)
        err = peal_buf_add_slice(&c->body, peal_slice_str(n_words > 1 ? "]}" : "}"));
    return err;
}

int
peal_cli_emit(int argc, char **argv)
{
    struct call c = { .command = "emit", .server = SERVER_DEFAULT };
    size_t room = (size_t)argc + 1;
    const char **lists = calloc(2 * room, sizeof(*lists));
    struct emit e = { .nsp = "/", .rooms = lists, .except = lists + room };
    const struct peal_arg args[] = {
        { .name = "server", .value = &c.server },
        { .name = "key", .value = &c.key },
        { .name = "text", .flag = &c.text },
        { .name = "namespace", .letter = 'n', .value = &e.nsp },
        { .name = "room", .letter = 'r', .values = e.rooms, .n_values = &e.n_rooms },
        { .name = "except", .values = e.except, .n_values = &e.n_except },
        { 0 },
    };
    int n_words, status;

    if (lists == NULL) {
        fprintf(stderr, "peal emit: out of memory\n");
        return PEAL_EXIT_FAILED;
    }
    status = peal_args_read(c.command, emit_help, args, argc, argv, &n_words);
    if (status < 0)
        status = n_words < 1
                     ? peal_args_complain(c.command, "expected EVENT and DATA")
                     : post(&c, "/api/emit", build_emit(&c, &e, argv + 1, n_words));
    free(lists);
    return status;
}
