/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extents sealed with a key that never leaves RAM.
 *
 * The cipher is AES-256-GCM where the CPU has it, else XChaCha20-Poly1305. The
 * nonce is the segment's sequence and the extent's unit: a sequence is never
 * used again and a segment is written from front to back, so no pair comes
 * twice under a key. The rest of the header (owner, generation, tag, length,
 * kind) is readable, as where and how long extents are is anyway, but
 * authenticated with the bytes.
 */
#ifndef SRC_BACKING_CRYPT_H
#define SRC_BACKING_CRYPT_H

#include "backing/extent.h"

#define CRYPT_KEY_WORDS 4

struct crypt;

enum crypt_cipher {
	CRYPT_NONE,
	CRYPT_AES256GCM,
	CRYPT_XCHACHA20,
};

/* The cipher to use on this CPU; -EOPNOTSUPP: built without libsodium. */
int crypt_choose(enum crypt_cipher *ret) MUST_CHECK;
/* A new key from the kernel. */
void crypt_make_key(uint64_t key[CRYPT_KEY_WORDS]);
/* Overwrites a key in a way that no compiler leaves out. */
void crypt_forget(void *secret, size_t n_bytes);

/* -ENOMEM, -EOPNOTSUPP (not on this CPU or in this build). */
int crypt_new(enum crypt_cipher cipher, const uint64_t key[CRYPT_KEY_WORDS],
	      struct crypt **ret) MUST_CHECK;
void crypt_free(struct crypt *crypt);
/* Libsodium does all from here on; for tests, while nobody else uses it. */
void crypt_slow_down(struct crypt *crypt);

/* @header is complete but for its mac, which is filled in; @dst gets as many
 * bytes as @src has. */
void crypt_seal(const struct crypt *crypt, uint64_t sequence, uint64_t unit,
		struct extent_header *header, char *dst, const void *src);
/* False: not what was sealed there; @dst is nothing then. @src == @dst is
 * fine. */
bool crypt_open(const struct crypt *crypt, uint64_t sequence, uint64_t unit,
		const struct extent_header *header, char *dst, const char *src);

#endif
