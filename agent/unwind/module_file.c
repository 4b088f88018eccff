/* Files of modules: found and opened, and what their first pages say. */
#include "base/cleanup.h"
#include "unwind/module_private.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { PHDRS_MAX = 128, NOTES_MAX = 4096, VDSO_MAX = 1 << 20 };

/* ---- finding ---- */

/* The kernel's code in every process is the same as in this one: its image as a file. */
static int open_vdso(void)
{
	const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	Elf64_Ehdr h;
	int fd;

	if (!image)
		return -ENOENT;
	memcpy(&h, image, sizeof(h));
	uint64_t len = h.e_shoff + (uint64_t)h.e_shnum * h.e_shentsize;

	if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || len > VDSO_MAX)
		return -ENOEXEC;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, image, len) != (ssize_t)len) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static bool is_vdso(const struct module_key *k)
{
	return strcmp(k->path, "[vdso]") == 0;
}

/* Kinds of file systems that have no device of their own and yet ask nobody else. */
static bool is_local_kind(const char *kind)
{
	static const char *const kinds[] = {"overlay", "btrfs", "tmpfs",  "ramfs",    "zfs",
					    "aufs",    "erofs", "rootfs", "squashfs", "bcachefs"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

/* By the mounts that the process sees: "36 35 98:0 /root /mount options - kind source options". */
static bool look_for_mount(const struct host *h, const struct module_key *k)
{
	char name[32], line[1024], kind[32];
	_cleanup_fclose_ FILE *f = NULL;
	unsigned dev_major, dev_minor;
	int fd;

	snprintf(name, sizeof(name), "%u/mountinfo", k->pid);
	fd = host_file(h, ROOT_PROC, name);
	f = fd < 0 ? NULL : fdopen(fd, "r");
	if (!f) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (fgets(line, sizeof(line), f)) {
		char *p = strstr(line, " - ");

		if (p && sscanf(line, "%*u %*u %u:%u", &dev_major, &dev_minor) == 2 &&
		    makedev(dev_major, dev_minor) == k->dev && sscanf(p + 3, "%31s", kind) == 1)
			return is_local_kind(kind);
	}
	return false;
}

bool module_file_is_local(struct modules *all, const struct module_key *k)
{
	/* File systems without a device of their own may be those of a server, or of a process. */
	if (is_vdso(k) || major(k->dev) != 0)
		return true;
	for (uint32_t i = 0; i < all->n_local; i++)
		if (all->local[i].dev == k->dev)
			return all->local[i].local;
	bool local = look_for_mount(all->host, k);
	/* Numbers of mounts that have gone are used again: there are few, and this is a guess at how long it takes. */
	uint32_t at = all->n_local < LOCAL_MAX ? all->n_local++ : (uint32_t)k->dev % LOCAL_MAX;

	all->local[at].dev = k->dev;
	all->local[at].local = local;
	return local;
}

/* Is it the file of the key, and a regular one? Does not wait for a server. */
static bool is_file_of(int fd, const struct module_key *k, bool trusted)
{
	struct statx s;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &s) != 0)
		return false;
	if (!S_ISREG(s.stx_mode))
		return false;
	if (!k->ino)
		return true;
	uint64_t dev = makedev(s.stx_dev_major, s.stx_dev_minor);

	if (s.stx_ino == k->ino && dev == k->dev)
		return true;
	/* Layered file systems report other numbers for a mapping than for its file. */
	if (trusted)
		return dev != k->dev;
	return s.stx_ino == k->ino && s.stx_dev_major == 0;
}

static int checked(int fd, const struct module_key *k, bool trusted)
{
	if (fd < 0)
		return -errno;
	if (is_file_of(fd, k, trusted))
		return fd;
	close(fd);
	return -ESTALE;
}

static int pin_mapping(const struct host *h, const struct module_key *k)
{
	char path[80];

	if (!k->pid || k->end <= k->start)
		return -ENOENT;
	snprintf(path, sizeof(path), "%u/map_files/%llx-%llx", k->pid, (unsigned long long)k->start,
		 (unsigned long long)k->end);
	return checked(openat(h->fd[ROOT_PROC], path, O_PATH | O_CLOEXEC), k, true);
}

int module_file_pin(const struct host *h, const struct module_key *k)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_CACHED};
	int fd;

	if (is_vdso(k))
		return open_vdso();
	fd = pin_mapping(h, k);
	if (fd >= 0 || k->path[0] != '/' || !k->ino)
		return fd;
	return checked((int)syscall(SYS_openat2, AT_FDCWD, k->path, &how, sizeof(how)), k, false);
}

int module_file_reopen(int path_fd)
{
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

static int open_below(const struct host *h, const struct module_key *k, bool own_root)
{
	char path[MODULE_PATH_MAX + 40];
	_cleanup_close_ int pin = -1;

	if (k->path[0] != '/')
		return -ENOENT;
	snprintf(path, sizeof(path), "%u/root%s", k->pid, k->path);
	pin = own_root ? open(k->path, O_PATH | O_CLOEXEC)
		       : openat(h->fd[ROOT_PROC], path, O_PATH | O_CLOEXEC);
	pin = checked(pin, k, false);
	return pin < 0 ? pin : module_file_reopen(pin);
}

int module_file_open(const struct host *h, const struct module_key *k, int path_fd)
{
	int r = -ENOENT, pin;

	if (is_vdso(k))
		return open_vdso();
	if (path_fd >= 0)
		return module_file_reopen(path_fd);
	pin = pin_mapping(h, k);
	if (pin >= 0) {
		r = module_file_reopen(pin);
		close(pin);
	}
	if (r < 0 && k->pid)
		r = open_below(h, k, false);
	return r < 0 ? open_below(h, k, true) : r;
}

/* ---- the first pages ---- */

static bool read_at(int fd, void *to, size_t len, uint64_t off)
{
	return off <= INT64_MAX && pread(fd, to, len, (off_t)off) == (ssize_t)len;
}

static void put_hex(char *to, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snprintf(to + 2 * i, 3, "%02x", p[i]);
}

/* Looks for the build-id in what notes there are. */
static void read_notes(const uint8_t *p, size_t len, struct module_head *ret)
{
	Elf64_Nhdr n;

	while (len >= sizeof(n)) {
		memcpy(&n, p, sizeof(n));
		uint64_t name = (n.n_namesz + 3ull) & ~3ull, desc = (n.n_descsz + 3ull) & ~3ull,
			 all = sizeof(n) + name + desc;

		if (all > len)
			return;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && n.n_descsz &&
		    memcmp(p + sizeof(n), "GNU", 4) == 0) {
			put_hex(ret->build_id, p + sizeof(n) + name,
				n.n_descsz < BUILD_ID_MAX ? n.n_descsz : BUILD_ID_MAX);
			return;
		}
		p += all;
		len -= (size_t)all;
	}
}

static void read_segment(int fd, const Elf64_Phdr *p, struct module_head *ret)
{
	uint8_t notes[NOTES_MAX];

	if (p->p_type == PT_LOAD && ret->n_segments < SEGMENTS_MAX && p->p_filesz &&
	    p->p_offset <= UINT64_MAX - p->p_filesz) {
		ret->segments[ret->n_segments++] =
			(struct module_segment){.off = p->p_offset,
						.size = p->p_filesz,
						.vaddr = p->p_vaddr,
						.executable = p->p_flags & PF_X};
	} else if (p->p_type == PT_NOTE && !ret->build_id[0]) {
		size_t len = p->p_filesz < sizeof(notes) ? (size_t)p->p_filesz : sizeof(notes);

		if (read_at(fd, notes, len, p->p_offset))
			read_notes(notes, len, ret);
	}
}

int module_file_stamp(int fd, struct module_stamp *ret)
{
	struct statx s;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE | STATX_MTIME, &s) != 0)
		return -errno;
	*ret = (struct module_stamp){.size = s.stx_size,
				     .changed_ns =
					     s.stx_mtime.tv_sec * 1000000000 + s.stx_mtime.tv_nsec};
	return 0;
}

/* Without a build-id: by its inode and when that was written to. */
static void make_id(int fd, struct module_head *head)
{
	uint64_t h = 14695981039346656037u;
	struct module_stamp stamp;
	struct stat st;

	if (fstat(fd, &st) != 0 || module_file_stamp(fd, &stamp) != 0)
		return;
	const uint64_t words[] = {st.st_dev, st.st_ino, stamp.size, (uint64_t)stamp.changed_ns};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
	}
	snprintf(head->build_id, sizeof(head->build_id), MODULE_FILE_ID "%016llx",
		 (unsigned long long)h);
}

void module_file_id(int fd, char ret[BUILD_ID_HEX])
{
	struct module_head head;

	ret[0] = 0;
	if (module_file_head(fd, &head) == 0)
		snprintf(ret, BUILD_ID_HEX, "%s", head.build_id);
}

int module_file_head(int fd, struct module_head *ret)
{
	struct module_head head = {0};
	Elf64_Ehdr h;
	Elf64_Phdr p[PHDRS_MAX];

	if (!read_at(fd, &h, sizeof(h), 0) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB ||
	    h.e_phentsize != sizeof(p[0]) || h.e_phnum > PHDRS_MAX)
		return -ENOEXEC;
	head.entry = h.e_entry;
#ifdef __aarch64__
	head.foreign = h.e_machine != EM_AARCH64;
#else
	head.foreign = h.e_machine != EM_X86_64;
#endif
	if (!read_at(fd, p, h.e_phnum * sizeof(p[0]), h.e_phoff))
		return -ENOEXEC;
	for (unsigned i = 0; i < h.e_phnum; i++)
		read_segment(fd, &p[i], &head);
	if (!head.build_id[0])
		make_id(fd, &head);
	*ret = head;
	return 0;
}
