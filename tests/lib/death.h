/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of what must end the process: done in a child.
 *
 * Call it while the test has no other thread: the child is a fork.
 */
#ifndef TESTS_LIB_DEATH_H
#define TESTS_LIB_DEATH_H

#include <stdbool.h>

/*
 * True when @fn(@arg) ends its process by abort() and stderr holds @message.
 * Otherwise what happened instead is printed.
 */
bool dies_saying(void (*fn)(void *arg), void *arg, const char *message);

#endif
