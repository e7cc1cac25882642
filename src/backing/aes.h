/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * AES-256-GCM by libgcrypt, which takes less than half of libsodium's time for
 * the same bytes.
 *
 * Its handles can be used by one thread at a time, so there are several, in
 * memory that is locked and wiped. Whoever finds none free has libsodium do it.
 */
#ifndef SRC_BACKING_AES_H
#define SRC_BACKING_AES_H

#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aes;

/* One message: what both ciphers here are given. */
struct aes_message {
	const void *nonce; /* 12 bytes */
	const void *clear; /* authenticated only */
	size_t clear_bytes;
	const void *src;
	void *dst; /* may be @src */
	size_t n_bytes;
};

/* NULL: not in this build, not in FIPS mode, or there is no memory. */
struct aes *aes_new(const uint8_t key[32]);
void aes_free(struct aes *aes);

/* False: no handle is free (or @aes is NULL), nothing was done. */
bool aes_seal(struct aes *aes, const struct aes_message *m,
	      uint8_t ret_mac[16]) MUST_CHECK;
/* The same; @ret_genuine tells whether @mac is right. */
bool aes_open(struct aes *aes, const struct aes_message *m,
	      const uint8_t mac[16], bool *ret_genuine) MUST_CHECK;

#endif
