/* SPDX-License-Identifier: MIT */
/*
 * What every app has to do, as app/app.h promises it. An implementation is done when this
 * passes for it: give it a struct app_maker in test_apps.c.
 */
#ifndef TEST_SUITE_APP_H
#define TEST_SUITE_APP_H

#include "app/app.h"

struct app_maker {
    const char *name;
    struct peal_app *(*make)(void);
    bool defers; /* keeps at least one of the suite's questions */
};

/* Fails the test that runs if the implementation breaks a promise. */
void suite_app(const struct app_maker *maker);

#endif
