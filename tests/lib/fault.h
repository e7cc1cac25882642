/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Failing the n-th allocation, for every n, until nothing fails any more.
 *
 * The one loop behind the ENOMEM tests of all folders.
 */
#ifndef TESTS_LIB_FAULT_H
#define TESTS_LIB_FAULT_H

/*
 * Run @attempt with the 1st, 2nd, ... heap call failing until a run meets no
 * fault. @attempt cleans up after itself either way and returns 0 or a
 * negative errno. A run that met a fault must return -ENOMEM, the last one 0;
 * anything else ends the test with a message. Returns how many heap calls
 * were failed: a test asserts that it is at least what it thinks it covers.
 */
unsigned fault_each_alloc(int (*attempt)(void *arg), void *arg);

/*
 * The same where a fault may also be survived: a run that met one may return
 * 0 too.
 */
unsigned fault_each_alloc_may_survive(int (*attempt)(void *arg), void *arg);

#endif
