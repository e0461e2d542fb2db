/* SPDX-License-Identifier: MIT */
/* Checks of single values, named in the rows of the option table; inside server/ only. */
#ifndef PEAL_SERVER_OPTION_CHECKS_PRIV_H
#define PEAL_SERVER_OPTION_CHECKS_PRIV_H

#include "server/options.h"

#define peal_check_any NULL /* anything is fine */

peal_option_check_fn peal_check_listen;      /* address:port, :port, unix:/path */
peal_option_check_fn peal_check_cidr;        /* address, address/bits, unix */
peal_option_check_fn peal_check_origin;      /* *, or scheme://host[:port] */
peal_option_check_fn peal_check_path;        /* /.../ */
peal_option_check_fn peal_check_cookie;      /* a cookie's name */
peal_option_check_fn peal_check_transport;   /* polling, websocket */
peal_option_check_fn peal_check_node_listen; /* the same without unix sockets */
peal_option_check_fn peal_check_advertise;   /* host, or host:port */
peal_option_check_fn peal_check_backplane;   /* memory, or a URL */
peal_option_check_fn peal_check_prefix;      /* a word of topics */
peal_option_check_fn peal_check_secret;      /* visible ASCII without spaces */

#endif
