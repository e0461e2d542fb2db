/* SPDX-License-Identifier: MIT */
/* peal publish, peal emit: a message through a node's HTTP API. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"
#include "base/writer.h"
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/http_call_priv.h"

#define SERVER_DEFAULT "http://127.0.0.1:8080"

#define COMMON_HELP                                                                      \
    "      --server URL    http://host:port, https://host:port or unix:/path\n"          \
    "                      (" SERVER_DEFAULT ")\n"                                       \
    "      --ca FILE       PEM file of the authorities to trust (the system's)\n"        \
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

/* The options of both commands. */
struct call {
    const char *command;
    const char *server, *ca, *key;
    bool text;
    struct peal_buf body;
};

static void
write_names(struct peal_writer *w, const char *key, const char **names, unsigned n)
{
    if (n == 0)
        return;
    peal_writer_json_key(w, key);
    peal_writer_json_begin(w, '[');
    for (unsigned i = 0; i < n; i++)
        peal_writer_json_str(w, peal_slice_str(names[i]));
    peal_writer_json_end(w, ']');
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

/* Writes DATA of the command line: JSON as it is, anything else as a string. */
static void
write_data(const struct call *c, struct peal_writer *w, const char *word)
{
    struct peal_slice data = peal_slice_str(word);
    struct peal_buf in = { 0 };

    if (strcmp(word, "-") == 0) {
        peal_writer_fail(w, read_stdin(&in));
        data = peal_buf_slice(&in);
    }
    if (!c->text && peal_json_check(data) == PEAL_OK)
        peal_writer_json_raw(w, data);
    else if (peal_utf8_valid(data))
        peal_writer_json_str(w, data);
    else
        peal_writer_fail(w, PEAL_EPROTO); /* post says what that means */
    peal_buf_fini(&in);
}

/* The API says {"error":{"code":...,"message":...}}. */
static bool
find_message(struct peal_slice body, struct peal_buf *out)
{
    static const char *const path[] = { "error", "message" };
    struct peal_slice value = { NULL, 0 }, key;
    size_t used;

    if (peal_json_check(body) != PEAL_OK ||
        peal_json_skip(body, &value, &used) != PEAL_OK)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        struct peal_json_field f = { .name = path[i] };

        if (peal_json_fields(value, PEAL_JSON_SKIP_OTHERS, &f, 1, &key) != PEAL_OK ||
            f.value.data == NULL)
            return false;
        value = f.value;
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
            PEAL_ARG(message));
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
             (err = peal_http_call(&(struct peal_http_call){ .server = c->server,
                                       .ca = c->ca,
                                       .key = *first ? first : NULL,
                                       .path = path,
                                       .body = peal_buf_slice(&c->body) },
                  &status, &answer, &why)) != PEAL_OK)
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
        { .name = "ca", .value = &c.ca },
        { .name = "key", .value = &c.key },
        { .name = "text", .flag = &c.text },
        { .name = "event", .letter = 'e', .value = &event },
        { 0 },
    };
    struct peal_writer w;
    int n_words, status;

    status = peal_args_read(c.command, publish_help, args, argc, argv, &n_words);
    if (status >= 0)
        return status;
    if (n_words < 1 || n_words > 2)
        return peal_args_complain(c.command, "expected CHANNEL and DATA");
    w = peal_writer_on(&c.body);
    peal_writer_json_begin(&w, '{');
    peal_writer_json_key(&w, "channel");
    peal_writer_json_str(&w, peal_slice_str(argv[1]));
    if (event != NULL) {
        peal_writer_json_key(&w, "event");
        peal_writer_json_str(&w, peal_slice_str(event));
    }
    if (n_words == 2) {
        peal_writer_json_key(&w, "data");
        write_data(&c, &w, argv[2]);
    }
    peal_writer_json_end(&w, '}');
    return post(&c, "/api/publish", peal_writer_end(&w));
}

/* An event and its targets; lists have room for all words of the command line. */
struct emit {
    const char *nsp;
    const char **rooms, **except;
    unsigned n_rooms, n_except;
};

static peal_err
build_emit(struct call *c, const struct emit *e, char **words, int n_words)
{
    struct peal_writer w = peal_writer_on(&c->body);

    peal_writer_json_begin(&w, '{');
    peal_writer_json_key(&w, "namespace");
    peal_writer_json_str(&w, peal_slice_str(e->nsp));
    write_names(&w, "rooms", e->rooms, e->n_rooms);
    write_names(&w, "except", e->except, e->n_except);
    peal_writer_json_key(&w, "event");
    peal_writer_json_str(&w, peal_slice_str(words[0]));
    if (n_words > 1) {
        peal_writer_json_key(&w, "args");
        peal_writer_json_begin(&w, '[');
        for (int i = 1; i < n_words; i++)
            write_data(c, &w, words[i]);
        peal_writer_json_end(&w, ']');
    }
    peal_writer_json_end(&w, '}');
    return peal_writer_end(&w);
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
        { .name = "ca", .value = &c.ca },
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
