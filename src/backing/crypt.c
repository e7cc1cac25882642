/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sealing of extents with libsodium or what does the same faster, or the refusal
 * to where it is missing. */
#include "backing/crypt.h"
#include "backing/aes.h"
#include "base/check.h"
#include "base/heap.h"
#include <errno.h>
#include <sys/mman.h>

#if HAVE_SODIUM
#include <sodium.h>

struct crypt {
	/* First: it must be aligned to 16 bytes. */
	crypto_aead_aes256gcm_state aes;
	/* The same cipher, faster; may be NULL. */
	struct aes *fast;
	enum crypt_cipher cipher;
	uint8_t key[CRYPT_KEY_WORDS * sizeof(uint64_t)];
};

static_assert(CRYPT_KEY_WORDS * sizeof(uint64_t) ==
			      crypto_aead_aes256gcm_KEYBYTES &&
		      CRYPT_KEY_WORDS * sizeof(uint64_t) ==
			      crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
	      "both take keys of 256 bits");
static_assert(crypto_aead_aes256gcm_ABYTES == 16 &&
		      crypto_aead_xchacha20poly1305_ietf_ABYTES == 16,
	      "a mac fits the header");

/* The shorter nonce is the start of the longer one. */
struct nonce {
	uint64_t sequence;
	uint32_t unit;
	uint32_t zero[3];
};

static_assert(sizeof(struct nonce) ==
		      crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	      "the longer nonce");
static_assert(offsetof(struct nonce, zero) == crypto_aead_aes256gcm_NPUBBYTES,
	      "the shorter nonce");

/* What of a header is authenticated: all that follows the mac. */
#define CLEAR_BYTES                                                            \
	(sizeof(struct extent_header) - offsetof(struct extent_header, file))

int crypt_choose(enum crypt_cipher *ret)
{
	if (sodium_init() < 0)
		return -EOPNOTSUPP;
	*ret = crypto_aead_aes256gcm_is_available() ? CRYPT_AES256GCM
						    : CRYPT_XCHACHA20;
	return 0;
}

void crypt_make_key(uint64_t key[CRYPT_KEY_WORDS])
{
	randombytes_buf(key, CRYPT_KEY_WORDS * sizeof(key[0]));
}

void crypt_forget(void *secret, size_t n_bytes)
{
	sodium_memzero(secret, n_bytes);
}

static bool is_usable(enum crypt_cipher cipher)
{
	if (sodium_init() < 0)
		return false;
	return cipher == CRYPT_XCHACHA20 ||
	       (cipher == CRYPT_AES256GCM &&
		crypto_aead_aes256gcm_is_available());
}

int crypt_new(enum crypt_cipher cipher, const uint64_t key[CRYPT_KEY_WORDS],
	      struct crypt **ret)
{
	struct crypt *crypt;

	if (!is_usable(cipher))
		return -EOPNOTSUPP;
	crypt = heap_aligned(64, sizeof(*crypt));
	if (!crypt)
		return -ENOMEM;
	/* Best effort: RLIMIT_MEMLOCK may be too low. */
	mlock(crypt, sizeof(*crypt));
	crypt->cipher = cipher;
	crypt->fast = NULL;
	memcpy(crypt->key, key, sizeof(crypt->key));
	if (cipher == CRYPT_AES256GCM) {
		crypto_aead_aes256gcm_beforenm(&crypt->aes, crypt->key);
		crypt->fast = aes_new(crypt->key);
	}
	*ret = crypt;
	return 0;
}

void crypt_free(struct crypt *crypt)
{
	if (!crypt)
		return;
	crypt_slow_down(crypt);
	crypt_forget(crypt, sizeof(*crypt));
	munlock(crypt, sizeof(*crypt));
	heap_free(crypt);
}

void crypt_slow_down(struct crypt *crypt)
{
	aes_free(crypt->fast);
	crypt->fast = NULL;
}

void crypt_seal(const struct crypt *crypt, uint64_t sequence, uint64_t unit,
		struct extent_header *header, char *dst, const void *src)
{
	struct nonce nonce = {.sequence = sequence, .unit = (uint32_t)unit};
	const void *clear = &header->file;
	const struct aes_message m = {&nonce, clear, CLEAR_BYTES,
				      src,    dst,   header->n_bytes};
	int r;

	if (aes_seal(crypt->fast, &m, header->mac))
		return;
	if (crypt->cipher == CRYPT_AES256GCM)
		r = crypto_aead_aes256gcm_encrypt_detached_afternm(
			(uint8_t *)dst, header->mac, NULL, src, header->n_bytes,
			clear, CLEAR_BYTES, NULL, (const uint8_t *)&nonce,
			&crypt->aes);
	else
		r = crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
			(uint8_t *)dst, header->mac, NULL, src, header->n_bytes,
			clear, CLEAR_BYTES, NULL, (const uint8_t *)&nonce,
			crypt->key);
	invariant(r == 0);
}

bool crypt_open(const struct crypt *crypt, uint64_t sequence, uint64_t unit,
		const struct extent_header *header, char *dst, const char *src)
{
	struct nonce nonce = {.sequence = sequence, .unit = (uint32_t)unit};
	const void *clear = &header->file;
	const struct aes_message m = {&nonce, clear, CLEAR_BYTES,
				      src,    dst,   header->n_bytes};
	bool genuine;

	if (aes_open(crypt->fast, &m, header->mac, &genuine))
		return genuine;
	if (crypt->cipher == CRYPT_AES256GCM)
		return crypto_aead_aes256gcm_decrypt_detached_afternm(
			       (uint8_t *)dst, NULL, (const uint8_t *)src,
			       header->n_bytes, header->mac, clear, CLEAR_BYTES,
			       (const uint8_t *)&nonce, &crypt->aes) == 0;
	return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
		       (uint8_t *)dst, NULL, (const uint8_t *)src,
		       header->n_bytes, header->mac, clear, CLEAR_BYTES,
		       (const uint8_t *)&nonce, crypt->key) == 0;
}

#else

int crypt_choose(enum crypt_cipher *ret UNUSED)
{
	return -EOPNOTSUPP;
}

void crypt_make_key(uint64_t key[CRYPT_KEY_WORDS] UNUSED)
{
	invariant(!"reached without a cipher");
}

void crypt_forget(void *secret, size_t n_bytes)
{
	explicit_bzero(secret, n_bytes);
}

int crypt_new(enum crypt_cipher cipher UNUSED,
	      const uint64_t key[CRYPT_KEY_WORDS] UNUSED,
	      struct crypt **ret UNUSED)
{
	return -EOPNOTSUPP;
}

void crypt_free(struct crypt *crypt UNUSED)
{
}

void crypt_slow_down(struct crypt *crypt UNUSED)
{
}

void crypt_seal(const struct crypt *crypt UNUSED, uint64_t sequence UNUSED,
		uint64_t unit UNUSED, struct extent_header *header UNUSED,
		char *dst UNUSED, const void *src UNUSED)
{
	invariant(!"reached without a cipher");
}

bool crypt_open(const struct crypt *crypt UNUSED, uint64_t sequence UNUSED,
		uint64_t unit UNUSED, const struct extent_header *header UNUSED,
		char *dst UNUSED, const char *src UNUSED)
{
	return false;
}

#endif
