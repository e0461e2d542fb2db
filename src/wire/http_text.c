/* SPDX-License-Identifier: MIT */
/* The small texts of HTTP: comma lists (RFC 9110 section 5.6.1), reason phrases, dates.
 */
#include "wire/http_head.h"

#include <time.h>

/* The length of the element at the start of s: up to a comma outside quotes. */
static size_t
element_len(struct peal_slice s)
{
    bool quoted = false;
    size_t i;

    for (i = 0; i < s.len; i++) {
        if (quoted && s.data[i] == '\\' && i + 1 < s.len)
            i++;
        else if (s.data[i] == '"')
            quoted = !quoted;
        else if (s.data[i] == ',' && !quoted)
            break;
    }
    return i;
}

bool
peal_httphead_list_next(struct peal_slice *rest, struct peal_slice *item_out)
{
    while (rest->len > 0) {
        size_t n = element_len(*rest);
        struct peal_slice item = peal_slice_trim(peal_slice_of(rest->data, n));

        *rest = peal_slice_skip(*rest, n + 1);
        if (item.len > 0) {
            *item_out = item;
            return true;
        }
    }
    return false;
}

bool
peal_httphead_has_token(struct peal_slice list, struct peal_slice token)
{
    struct peal_slice item;

    while (peal_httphead_list_next(&list, &item))
        if (peal_slice_ieq(item, token))
            return true;
    return false;
}

static const struct {
    unsigned status;
    const char *text;
} reasons[] = {
    { 200, "OK" },
    { 100, "Continue" },
    { 101, "Switching Protocols" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 206, "Partial Content" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 406, "Not Acceptable" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 417, "Expectation Failed" },
    { 421, "Misdirected Request" },
    { 422, "Unprocessable Content" },
    { 426, "Upgrade Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
};

const char *
peal_httphead_reason(unsigned status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Unknown";
}

void
peal_httphead_date(int64_t unix_s, char out[PEAL_HTTP_DATE_LEN + 1])
{
    const int64_t last = 253402300799; /* the end of 9999 */
    time_t t = unix_s < 0 ? 0 : unix_s > last ? last : unix_s;
    struct tm tm;

    /* The names of days and months are English: no locale is ever set. */
    gmtime_r(&t, &tm);
    strftime(out, PEAL_HTTP_DATE_LEN + 1, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}
