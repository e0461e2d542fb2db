/* SPDX-License-Identifier: MIT */
/* Results of reading from a socket or TLS, of a handshake, and of writing by TLS, besides
 * a number of bytes. Inside io/ only. */
#ifndef PEAL_IO_RESULT_PRIV_H
#define PEAL_IO_RESULT_PRIV_H

enum peal_io_result {
    PEAL_IO_EOF = 0,
    PEAL_IO_AGAIN = -1,
    PEAL_IO_WANT_WRITE = -2,
    PEAL_IO_FAILED = -3
};

#endif
