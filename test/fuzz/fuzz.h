/* SPDX-License-Identifier: MIT */
/*
 * Fuzz targets: one file a codec, fuzz_<name>.c, each with the one function below. With
 * clang's fuzzer it becomes fuzz_<name>; everywhere else replay_<name>, which runs the
 * inputs in corpus/<name> and all their beginnings (tools/run-tests.sh).
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
