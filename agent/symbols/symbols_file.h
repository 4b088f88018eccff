/*
 * For the symbol readers and the namer: an ELF file that somebody else may damage or truncate while it is read
 * (so nothing of it is ever mapped), the debug file that belongs to it, and memory for tables, which
 * goes back to the system when it is freed.
 */
#ifndef STROBE_SYMBOLS_SYMBOLS_FILE_H
#define STROBE_SYMBOLS_SYMBOLS_FILE_H

#include <gelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Anonymous memory by the page, zeroed; NULL: none. Freeing NULL is fine. */
void *pages_new(size_t len);
void pages_free(void *, size_t len);
/* In place or moved; NULL: no memory, and the old one stays. */
void *pages_resize(void *, size_t old_len, size_t len);
size_t pages_round(size_t len); /* what len takes */

struct symfile {
	Elf *elf;
	int fd;		/* the caller's; -1: `image` */
	uint8_t *image; /* pages, owned */
	uint64_t size;
};
/* 0; -ENOEXEC: no ELF file of this machine's byte order, or one that is absurd in what libelf would load of it.
 * symfile_close() follows only after 0. */
int symfile_open(struct symfile *, int fd);
int symfile_open_image(struct symfile *, uint8_t *image, uint64_t size); /* taken over if 0 */
void symfile_close(struct symfile *);
/* All of [off, off + len), or false. */
bool symfile_read(const struct symfile *, uint64_t off, void *buf, size_t len);
/* The first section of that type (0: any) and name (NULL: any) that lies within the file. */
bool symfile_section(const struct symfile *, uint32_t type, const char *name, GElf_Shdr *ret);
bool symfile_section_at(const struct symfile *, uint32_t index, GElf_Shdr *ret);
/* A section's bytes with a NUL behind them, in pages; at most `max` bytes, else NULL. */
char *symfile_load(const struct symfile *, const GElf_Shdr *, uint64_t max, size_t *ret_pages_len);
/* Name of .gnu_debuglink, no path in it, into name; its checksum. False: none. */
enum { SYMFILE_LINK_SIZE = 256 };
bool symfile_debuglink(const struct symfile *, char name[SYMFILE_LINK_SIZE], uint32_t *crc);
/* Hexadecimal, "" if there is none. */
enum { SYMFILE_ID_SIZE = 41 };
void symfile_build_id(const struct symfile *, char id[SYMFILE_ID_SIZE]);

/*
 * The debug file of f: below ROOT/usr/lib/debug/.build-id of its build-id, or by .gnu_debuglink beside `path` and below
 * ROOT/usr/lib/debug; ROOT is debug_root, then "". It has the same build-id (or the checksum) and a
 * section `want`. An fd, with *ret opened on it; or -ENOENT.
 */
int debug_file_open(struct symfile *ret, const struct symfile *f, const char *path,
		    const char *debug_root, const char *want);
/* By the build-id alone. */
int debug_file_open_id(const char *build_id, const char *debug_root);
/* What an fd was opened by, "" if that is not known. */
void fd_path(int fd, char *buf, size_t size);

#endif
