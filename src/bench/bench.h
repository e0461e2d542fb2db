/* SPDX-License-Identifier: MIT */
/*
 * The load generator behind `peal bench`.
 *
 * It holds many client connections on one thread, drives a server of this kind or of
 * another (WebSocket or Socket.IO over WebSocket), verifies every delivery, and reads
 * what that cost the server from the scheduler's own accounting.
 */
#ifndef PEAL_BENCH_BENCH_H
#define PEAL_BENCH_BENCH_H

/*
 * peal_bench_main runs one measurement and prints it.
 *   argv[0] is "bench"; the mode and its options follow (`peal bench --help`)
 * Returns the exit status: 0 measured and complete, 1 something failed or was lost,
 * 2 the command line is wrong.
 */
int peal_bench_main(int argc, char **argv);

#endif
