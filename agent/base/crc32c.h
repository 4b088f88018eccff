/* CRC-32C (Castagnoli), as in iSCSI and ext4. */
#ifndef STROBE_BASE_CRC32C_H
#define STROBE_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues crc over len bytes; start with any seed (0 for the plain checksum). */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
