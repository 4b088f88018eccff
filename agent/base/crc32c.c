#include "base/crc32c.h"

#include <string.h>

/* Slice-by-4 tables of the reflected polynomial 0x82f63b78, made at first use by the linker's
 * constructor so that readers need no lock. */
static uint32_t table[4][256];

#if defined(__x86_64__)
/* One instruction waits for the one before it, so three lanes are summed side by side; what passing
 * over a lane does to a sum is in these tables. */
enum { LANE = 1024 };
static uint32_t lane[4][256];

static void make_lane(void)
{
	uint32_t bit[32];

	for (int i = 0; i < 32; i++) {
		bit[i] = 1u << i;
		for (int k = 0; k < LANE; k++)
			bit[i] = (bit[i] >> 8) ^ table[0][bit[i] & 0xff];
	}
	for (int k = 0; k < 4; k++)
		for (uint32_t v = 0; v < 256; v++)
			for (int i = 0; i < 8; i++)
				lane[k][v] ^= v >> i & 1 ? bit[8 * k + i] : 0;
}

static uint64_t over_lane(uint64_t c)
{
	return lane[0][c & 0xff] ^ lane[1][c >> 8 & 0xff] ^ lane[2][c >> 16 & 0xff] ^
	       lane[3][c >> 24 & 0xff];
}
#endif

__attribute__((constructor)) static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = (c >> 1) ^ (c & 1 ? 0x82f63b78u : 0);
		table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 4; k++)
			table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
#if defined(__x86_64__)
	make_lane();
#endif
}

static uint32_t portable(uint32_t c, const uint8_t *p, size_t len)
{
	for (; len >= 4; p += 4, len -= 4) {
		c ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
		     (uint32_t)p[3] << 24;
		c = table[3][c & 0xff] ^ table[2][(c >> 8) & 0xff] ^ table[1][(c >> 16) & 0xff] ^
		    table[0][c >> 24];
	}
	while (len--)
		c = (c >> 8) ^ table[0][(c ^ *p++) & 0xff];
	return c;
}

#if defined(__x86_64__)
static uint64_t word(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

__attribute__((target("sse4.2"))) static uint32_t hardware(uint32_t c, const uint8_t *p, size_t len)
{
	uint64_t c64 = c;

	for (; len >= 3 * LANE; p += 3 * LANE, len -= 3 * LANE) {
		uint64_t b = 0, d = 0;

		for (size_t i = 0; i < LANE; i += 8) {
			c64 = __builtin_ia32_crc32di(c64, word(p + i));
			b = __builtin_ia32_crc32di(b, word(p + LANE + i));
			d = __builtin_ia32_crc32di(d, word(p + 2 * LANE + i));
		}
		c64 = over_lane(over_lane(c64) ^ b) ^ d;
	}
	for (; len >= 8; p += 8, len -= 8)
		c64 = __builtin_ia32_crc32di(c64, word(p));
	c = (uint32_t)c64;
	while (len--)
		c = __builtin_ia32_crc32qi(c, *p++);
	return c;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~hardware(~crc, data, len);
#endif
	return ~portable(~crc, data, len);
}
