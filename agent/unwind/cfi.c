#include "unwind/cfi.h"

#include <dwarf.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

const struct cfi_names *cfi_names(enum cfi_arch arch)
{
	static const struct cfi_names names[] = {
		[CFI_X86_64] = {.sp = 7, .fp = 6, .ra = 16, .base = 3},
		[CFI_AARCH64] = {.sp = 31, .fp = 29, .ra = 30, .base = 19},
	};

	return &names[arch];
}

void cfi_init(struct cfi *c, enum cfi_arch arch, bool eh, uint64_t addr, const uint8_t *data,
	      size_t len)
{
	*c = (struct cfi){.data = data,
			  .len = len,
			  .addr = addr,
			  .eh = eh,
			  .arch = arch,
			  .budget = 16 * (uint64_t)len + 65536};
	for (unsigned i = 0; i < CFI_CIES; i++)
		c->cies[i].at = SIZE_MAX;
}

/* ---- reading ---- */

uint64_t cfi_get(struct cfi_in *in, unsigned bytes)
{
	uint64_t v = 0;

	if (in->bad || in->n - in->at < bytes) {
		in->bad = true;
		return 0;
	}
	if (bytes == 4) {
		uint32_t word;

		memcpy(&word, in->p + in->at, sizeof(word));
		in->at += sizeof(word);
		return le32toh(word);
	}
	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)in->p[in->at++] << 8 * i;
	return v;
}

uint64_t cfi_uleb_long(struct cfi_in *in, uint8_t first)
{
	uint64_t v = first & 0x7f, b = 0x80;

	for (unsigned shift = 7; b & 0x80; shift += 7) {
		b = cfi_byte(in);
		if (shift < 64)
			v |= (b & 0x7f) << shift;
	}
	return in->bad ? 0 : v;
}

int64_t cfi_sleb(struct cfi_in *in)
{
	uint64_t v = 0, b = 0x80;
	unsigned shift = 0;

	while (b & 0x80) {
		b = cfi_byte(in);
		if (shift < 64)
			v |= (b & 0x7f) << shift;
		shift += 7;
	}
	if (shift < 64 && (b & 0x40))
		v |= UINT64_MAX << shift;
	return in->bad ? 0 : (int64_t)v;
}

static bool read_encoded(struct cfi_in *in, uint8_t format, uint8_t address_size, uint64_t *ret)
{
	switch (format) {
	case DW_EH_PE_absptr:
		*ret = cfi_get(in, address_size);
		return true;
	case DW_EH_PE_uleb128:
		*ret = cfi_uleb(in);
		return true;
	case DW_EH_PE_udata2:
		*ret = cfi_get(in, 2);
		return true;
	case DW_EH_PE_udata4:
		*ret = cfi_get(in, 4);
		return true;
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		*ret = cfi_get(in, 8);
		return true;
	case DW_EH_PE_sleb128:
		*ret = (uint64_t)cfi_sleb(in);
		return true;
	case DW_EH_PE_sdata2:
		*ret = (uint64_t)(int16_t)cfi_get(in, 2);
		return true;
	case DW_EH_PE_sdata4:
		*ret = (uint64_t)(int32_t)cfi_get(in, 4);
		return true;
	default:
		return false;
	}
}

bool cfi_pointer(const struct cfi *c, struct cfi_in *in, uint8_t enc, uint8_t address_size,
		 uint64_t *ret)
{
	uint64_t from = c->addr + in->at;

	*ret = 0;
	if (enc == DW_EH_PE_omit)
		return true;
	if (!read_encoded(in, enc & 0x0f, address_size, ret))
		return false;
	switch (enc & 0xf0) {
	case DW_EH_PE_absptr:
		return !in->bad;
	case DW_EH_PE_pcrel:
		*ret += from;
		return !in->bad;
	default: /* relative to what the section does not say, or indirect */
		return false;
	}
}

/* ---- entries ---- */

struct entry {
	size_t body, end; /* after the length and before the id; after the entry */
	uint64_t id;	  /* as it stands there */
	size_t id_at;
	bool wide; /* 64-bit format */
};

/* False: no entry fits there. */
static bool read_entry(const struct cfi *c, size_t at, struct entry *e)
{
	struct cfi_in in = {.p = c->data, .at = at, .n = c->len};
	uint64_t len = cfi_get(&in, 4);

	*e = (struct entry){.end = at};
	e->wide = len == 0xffffffff;
	if (e->wide)
		len = cfi_get(&in, 8);
	if (in.bad || len > c->len - in.at)
		return false;
	e->end = in.at + (size_t)len;
	e->id_at = in.at;
	in.n = e->end;
	if (len) {
		/* In .eh_frame the id has 4 bytes in either format. */
		e->id = cfi_get(&in, e->wide && !c->eh ? 8 : 4);
		e->body = in.at;
	}
	return !in.bad;
}

static bool is_cie(const struct cfi *c, const struct entry *e)
{
	if (c->eh)
		return e->id == 0;
	return e->id == (e->wide ? UINT64_MAX : UINT32_MAX);
}

/* The letters behind 'z'. False: one that is not known. */
static bool read_augmentation(const struct cfi *c, struct cfi_in *in, const char *letters,
			      struct cfi_cie *cie)
{
	uint64_t pointer;
	uint8_t enc;

	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			cie->fde_enc = (uint8_t)cfi_get(in, 1);
			break;
		case 'P': /* its address is of no use here: whether it can be told does not matter */
			enc = (uint8_t)cfi_get(in, 1);
			if (enc != DW_EH_PE_omit &&
			    !read_encoded(in, enc & 0x0f, cie->address_size, &pointer))
				return false;
			break;
		case 'L':
			cfi_get(in, 1);
			break;
		case 'S':
			cie->signal = true;
			break;
		case 'B': /* return addresses are signed with the second key: stripped all the same */
		case 'G': /* tagged stack */
			break;
		default:
			return false;
		}
	}
	(void)c;
	return !in->bad;
}

static bool read_letters(struct cfi_in *in, char letters[16])
{
	for (unsigned i = 0; i < 16; i++) {
		letters[i] = (char)cfi_get(in, 1);
		if (!letters[i])
			return !in->bad;
	}
	return false;
}

static int read_cie(struct cfi *c, size_t at, struct cfi_cie *cie)
{
	struct entry e;
	char letters[16];

	*cie = (struct cfi_cie){.at = at, .address_size = 8, .fde_enc = DW_EH_PE_absptr};
	if (!read_entry(c, at, &e) || !e.body || !is_cie(c, &e))
		return -EBADMSG;
	struct cfi_in in = {.p = c->data, .at = e.body, .n = e.end};
	uint64_t version = cfi_get(&in, 1);

	if (!read_letters(&in, letters) || version == 0 || version > 4)
		return -EBADMSG;
	if (version >= 4) {
		cie->address_size = (uint8_t)cfi_get(&in, 1);
		if (cie->address_size != 8 || cfi_get(&in, 1) != 0)
			return -EBADMSG;
	}
	cie->code_align = cfi_uleb(&in);
	cie->data_align = cfi_sleb(&in);
	cie->ra_reg = version == 1 ? cfi_get(&in, 1) : cfi_uleb(&in);
	cie->end = e.end;
	cie->sized = letters[0] == 'z';
	if (cie->sized) {
		uint64_t len = cfi_uleb(&in);
		struct cfi_in data = in;

		if (in.bad || len > in.n - in.at)
			return -EBADMSG;
		in.at += (size_t)len;
		data.n = in.at;
		/* The length tells where it ends, whatever the letters are. */
		if (!read_augmentation(c, &data, letters + 1, cie))
			return -EBADMSG;
	} else if (letters[0]) {
		return -EBADMSG;
	}
	cie->insn = in.at;
	return in.bad ? -EBADMSG : cfi_run_initial(c, cie);
}

static int use_cie(struct cfi *c, size_t at)
{
	unsigned slot = (unsigned)((at * 0x9e3779b97f4a7c15u) >> 61);
	struct cfi_cie cie;

	_Static_assert(CFI_CIES == 8, "three bits");
	if (c->cies[slot].at != at) {
		if (c->budget < 16)
			return -E2BIG;
		c->budget -= 16;
		int r = read_cie(c, at, &cie);

		if (r < 0)
			return r;
		c->cies[slot] = cie;
	}
	c->cie = slot;
	return 0;
}

static int read_fde(struct cfi *c, const struct entry *e, struct cfi_fde *ret)
{
	size_t cie_at;
	uint64_t len;
	int r;

	if (c->eh ? e->id > e->id_at : e->id >= c->len)
		return -EBADMSG;
	cie_at = c->eh ? e->id_at - (size_t)e->id : (size_t)e->id;
	r = use_cie(c, cie_at);
	if (r < 0)
		return r;
	const struct cfi_cie *cie = &c->cies[c->cie];
	struct cfi_in in = {.p = c->data, .at = e->body, .n = e->end};

	if (!cfi_pointer(c, &in, cie->fde_enc, 8, &ret->start))
		return -EBADMSG;
	if (!read_encoded(&in, cie->fde_enc & 0x0f, 8, &len))
		return -EBADMSG;
	if (cie->sized) {
		uint64_t skip = cfi_uleb(&in);

		if (in.bad || skip > in.n - in.at)
			return -EBADMSG;
		in.at += (size_t)skip;
	}
	if (in.bad || !len || len > UINT32_MAX || ret->start > UINT64_MAX - len)
		return -EBADMSG;
	ret->end = ret->start + len;
	ret->insn = in.at;
	ret->insn_end = e->end;
	return 0;
}

int cfi_next(struct cfi *c, size_t *at, struct cfi_fde *ret)
{
	struct cfi_fde fde = {.at = *at};
	struct entry e;
	int r;

	if (*at >= c->len || !read_entry(c, *at, &e))
		return -ENODATA;
	*at = e.end; /* at least the 4 bytes of its length */
	if (!e.body || is_cie(c, &e))
		return 0;
	r = read_fde(c, &e, &fde);
	if (r == 0)
		*ret = fde;
	return r == 0 ? 1 : r == -E2BIG ? r : 0;
}
