/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SHA-256 (FIPS 180-4) of bytes in memory: the name of what a person brought. Not for secrets. A library for it would
 * be libcrypto, 4.7 MB that nothing else here needs, or libgcrypt, which libsystemd brings along in one of the two
 * Debian releases only; the kernel's own needs a kind of socket that the sandbox refuses.
 */

#include <stdbool.h>
#include <stddef.h>

#define SHA256_TEXT_SIZE 65  // 64 digits and the end

/* In small hexadecimal digits. Pure. */
void sha256_text(const void *bytes, size_t size, char ret[static SHA256_TEXT_SIZE]);

/* Whether these are 64 such digits, and then `rest`. Pure. */
bool sha256_is_text(const char *text, const char *rest);
