/* From a sample to an entry of the epoch: its stack by functions, its task, its time. */
#include "profile/profiler_private.h"

#include <stdio.h>
#include <string.h>

static const uint32_t NOBODY = UINT32_MAX;

void profiler_stack_epoch(struct profiler *p)
{
	const struct stacks *s = p->stacks;

	p->round++;
	if (s != p->last_stacks || s->from_us != p->last_from_us || s->n_frames < p->last_n_frames)
		p->epoch++;
	p->last_stacks = s;
	p->last_from_us = s->from_us;
	p->last_n_frames = s->n_frames;
}

/* ---- frames ---- */

static uint32_t kernel_module(struct profiler *p, const char *name)
{
	char text[72];

	if (!name || !name[0])
		return stacks_module(p->stacks, "[kernel]", "");
	snprintf(text, sizeof(text), "[%s]", name);
	return stacks_module(p->stacks, text, "");
}

const struct profiler_frame *profiler_kernel_frame(struct profiler *p, uint64_t ip)
{
	struct profiler_frame *f =
		&p->kernel_frames[ip * 0x9e3779b97f4a7c15u >> 32 & (PROFILER_FRAMES_CACHED - 1)];
	const struct profiler_ksym *later;
	const char *module = NULL, *name;
	struct stacks_frame sf;

	if (f->epoch == p->epoch && f->addr == ip)
		return f;
	later = profiler_ksyms_find(p, ip);
	name = later && later->name[0] ? later->name
	       : !later && p->kernel   ? kernel_name(p->kernel, ip, &module)
				       : NULL;
	if (later && name)
		module = "bpf";
	sf = (struct stacks_frame){.addr = p->kernel && !later ? kernel_function(p->kernel, ip)
					   : name	       ? later->start
							       : ip,
				   .module = kernel_module(p, module),
				   .type = STACKS_KERNEL,
				   .missed = later && !name};
	/* What comes and goes is named at once. */
	if (name && module && module[0])
		sf.name = stacks_string(p->stacks, name, strlen(name));
	else if (!name && !later && p->kernel)
		atomic_store(&p->kernel_modules.unknown, true);
	*f = (struct profiler_frame){
		.addr = ip,
		.epoch = p->epoch,
		.frame = stacks_frame(p->stacks, &sf),
		.class = (uint8_t)(name ? offcpu_function_class(name) : STACKS_CLASSES),
		.schedule = name && strncmp(name, "__schedule", 10) == 0};
	return f;
}

/* Code that was made at run time: by its map's function where there is one. */
static uint32_t jit_frame(struct profiler *p, uint32_t pid, uint64_t ip)
{
	char module[32], name[256];
	struct stacks_frame sf = {.addr = ip, .type = STACKS_JIT};

	snprintf(module, sizeof(module), "perf-%u.map", pid);
	sf.module = stacks_module(p->stacks, module, "");
	if (profiler_jits_find(p->jits, pid, ip, name, sizeof(name), &sf.addr))
		sf.name = stacks_string(p->stacks, name, strlen(name));
	return stacks_frame(p->stacks, &sf);
}

static uint32_t file_module(struct profiler *p, struct module *m)
{
	uint32_t index;

	if (m->epoch == p->epoch)
		return m->index;
	index = stacks_module(p->stacks, module_path(m), module_build_id(m));
	if (atomic_load_explicit(&m->known, memory_order_acquire)) { /* it has the build-id */
		m->index = index;
		m->epoch = p->epoch;
	}
	return index;
}

static uint32_t add_frame(struct profiler *p, const struct mapping *m, uint64_t addr)
{
	struct stacks_frame sf = {.addr = addr,
				  .module = file_module(p, m->module),
				  .type = m->main ? STACKS_USER : STACKS_LIBRARY};

	return stacks_frame(p->stacks, &sf);
}

/* A place in a file that is not read yet, and so has no build-id either: the namer knows both. */
static uint32_t add_place(struct profiler *p, const struct mapping *m, uint64_t off)
{
	struct stacks_frame sf = {.addr = off,
				  .module = stacks_module(p->stacks, module_path(m->module), ""),
				  .type = m->main ? STACKS_USER : STACKS_LIBRARY};

	return stacks_frame(p->stacks, &sf);
}

/* The frame of the byte at ip, behind which a call returns or not. *until becomes 0 when it may be another one the next
 * time. *ret_addr: where it is in the file; 0: not known yet. Between modules_enter() and modules_leave(). */
static uint32_t file_frame(struct profiler *p, const struct space *space, const struct mapping *m,
			   uint64_t ip, bool returns, uint32_t *until, uint64_t *ret_addr)
{
	uint64_t off = ip - m->start + m->file_off, vaddr = module_vaddr(m->module, off), start;
	const struct unwind_table *t = vaddr ? module_table(m->module) : NULL;
	struct space_rule *known;
	uint32_t row;

	*ret_addr = vaddr;
	if (!vaddr || !module_is_settled(m->module))
		*until = 0;
	if (!vaddr)
		return add_place(p, m, off);
	if (!t) /* perhaps not yet */
		return add_frame(p, m, vaddr);
	known = space_rule_at(space, t, vaddr + returns, returns);
	if (known->epoch == p->epoch && known->module == m->module->id)
		return known->frame;
	row = known->row & ~SPACE_HAS_RULE;
	start = unwind_table_stub(t, vaddr);
	if (!start && row)
		start = unwind_table_start(t, &t->rows[row - 1]);
	known->frame = add_frame(p, m, start ? start : vaddr);
	known->epoch = p->epoch;
	known->module = m->module->id;
	return known->frame;
}

/* The user part. */
static size_t look_up_user(struct profiler *p, struct space *space, const struct profiler_chain *c,
			   uint32_t *until)
{
	size_t n = c->n_kernel + c->n_user;

	for (size_t i = c->n_kernel; i < n; i++) {
		/* A return address may be that of the next function: its call is before it. */
		uint64_t ip = p->ips[i] - (i > c->n_kernel);
		const struct mapping *m = space ? space_find(space, ip) : NULL;

		if (!m && space && i > c->n_kernel)
			return i;
		p->addrs[i] = 0;
		if (!m)
			p->frames[i] = 0;
		else if (!m->module)
			p->frames[i] = jit_frame(p, space_pid(space), ip);
		else
			p->frames[i] =
				file_frame(p, space, m, ip, i > c->n_kernel, until, &p->addrs[i]);
		if (m && !m->module && *until > p->round + PROFILER_JIT_ROUNDS)
			*until = p->round + PROFILER_JIT_ROUNDS;
	}
	return n;
}

/* Frames of p->ips into p->frames. A caller that lies nowhere is the end: a frame pointer led astray. How many.
 * *until: the last round for which they stand. */
static size_t look_up(struct profiler *p, struct space *space, const struct profiler_chain *c,
		      uint32_t *until)
{
	uint64_t seq;
	size_t n;

	*until = !c->n_user || (space && space_version(space)) ? UINT32_MAX : 0;
	for (size_t i = 0; i < c->n_kernel; i++)
		p->frames[i] = profiler_kernel_frame(p, p->ips[i] - (i > 0))->frame;
	if (!c->n_user)
		return c->n_kernel;
	seq = modules_enter(p->modules);
	n = look_up_user(p, space, c, until);
	modules_leave(p->modules, seq);
	return n;
}

/* ---- places ---- */

static void vote_self(struct profiler *p, uint32_t frame, uint64_t addr, bool blocked)
{
	if (addr && !(blocked && p->stacks->frames[frame].self.votes))
		stacks_vote_self(p->stacks, frame, addr, 1);
}

/* Where each of the user's frames called the one before: `weight` times. */
static void vote_calls(struct profiler *p, const struct profiler_chain *c, size_t n_frames,
		       uint16_t weight)
{
	for (size_t i = c->n_kernel + 1; i < n_frames; i++)
		if (p->addrs[i] && !(c->blocked && p->stacks->frames[p->frames[i]].call.votes))
			stacks_vote_call(p->stacks, p->frames[i], p->addrs[i], weight);
}

static uint32_t node_of(struct profiler *p, uint32_t pid, size_t n_frames)
{
	struct profiler_path *path = &p->paths[pid % PROFILER_PATHS];
	bool same = path->epoch == p->epoch;
	uint32_t node = 0;

	for (uint32_t i = 0; i < n_frames; i++) {
		uint32_t frame = p->frames[n_frames - 1 - i];

		same = same && i < path->n && path->frames[i] == frame;
		node = same ? path->nodes[i] : stacks_node(p->stacks, node, frame);
		path->frames[i] = frame;
		path->nodes[i] = node;
	}
	path->epoch = stacks_failed(p->stacks) ? 0 : p->epoch;
	path->n = (uint32_t)n_frames;
	return node;
}

/* ---- chains ---- */

struct profiler_chain profiler_chain_split(struct profiler *p, const uint64_t *ips, size_t n_ips)
{
	struct profiler_chain c = {.truncated = n_ips >= PROFILER_STACK_MAX};
	bool user = false;

	for (size_t i = 0; i < n_ips && c.n_kernel + c.n_user < PROFILER_STACK_MAX; i++) {
		if (ips[i] >= (uint64_t)PERF_CONTEXT_MAX) {
			user = ips[i] == (uint64_t)PERF_CONTEXT_USER;
			continue;
		}
		if (!ips[i])
			continue;
		p->ips[c.n_kernel + c.n_user] = ips[i];
		c.n_kernel += !user;
		c.n_user += user;
	}
	return c;
}

void profiler_chain_user(struct profiler *p, struct profiler_chain *c, const uint64_t *ips,
			 size_t n, enum unwind_end end)
{
	if (n > PROFILER_STACK_MAX - c->n_kernel) {
		n = PROFILER_STACK_MAX - c->n_kernel;
		end = UNWIND_FULL;
	}
	if (n < c->n_user && end != UNWIND_WHOLE)
		return;
	if (n)
		memcpy(p->ips + c->n_kernel, ips, n * sizeof(*ips));
	c->n_user = n;
	c->whole = end == UNWIND_WHOLE;
	c->truncated = end == UNWIND_SHORT || end == UNWIND_FULL;
}

static void unwind(struct profiler *p, uint32_t pid, const struct record_sample *s,
		   struct profiler_chain *c)
{
	struct unwind_state u = {
		.regs = s->regs, .n_regs = s->n_regs, .stack = s->stack, .stack_len = s->stack_len};
	struct space *space = spaces_get(p->spaces, pid);
	uint64_t ips[PROFILER_STACK_MAX];
	enum unwind_end end = UNWIND_NO_TABLE;
	size_t n;

	if (!space)
		return;
	n = unwind_user(space, &u, ips, PROFILER_STACK_MAX, &end);
	profiler_chain_user(p, c, ips, n, end);
	p->state.unwound++;
}

/* Of the addresses, what is mapped there and what else decides about the stack. */
static uint64_t chain_key(const struct profiler *p, const struct space *space,
			  const struct profiler_chain *c)
{
	uint64_t h = p->seed ^ (uint64_t)c->n_kernel << 32 ^ (uint64_t)c->truncated << 1 ^ c->whole;
	size_t n = c->n_kernel + c->n_user;

	h = (h ^ (space ? space_version(space) : 0)) * 0x9e3779b97f4a7c15u;
	if (space && space_has_jit(space)) /* the names there are the process's own */
		h = ((h ^ h >> 32) ^ space_pid(space)) * 0x9e3779b97f4a7c15u;
	for (size_t i = 0; i < n; i++)
		h = ((h ^ h >> 32) ^ p->ips[i]) * 0x9e3779b97f4a7c15u;
	return h ^ h >> 32;
}

/* One that is known: a vote for where it runs, and sometimes it is looked up again, for its calls. */
static bool recall(struct profiler *p, struct profiler_stack *s, bool blocked)
{
	if (blocked)
		return true;
	if (++s->seen >= PROFILER_VOTE_EVERY)
		return false;
	vote_self(p, s->leaf, s->leaf_addr, false);
	return true;
}

uint32_t profiler_chain_node(struct profiler *p, uint32_t pid, const struct profiler_chain *c,
			     uint8_t *flags)
{
	struct space *space = c->n_user ? spaces_get(p->spaces, pid) : NULL;
	uint64_t key = chain_key(p, space, c);
	struct profiler_stack *cached = &p->stacks_cached[key & (PROFILER_STACKS_CACHED - 1)];
	bool known = cached->epoch == p->epoch && cached->key == key && p->round <= cached->until;
	struct profiler_stack s = {
		.key = key, .epoch = p->epoch, .flags = c->truncated ? STACKS_TRUNCATED : 0};
	size_t n_frames, n_user;

	if (known && recall(p, cached, c->blocked)) {
		*flags |= cached->flags;
		return cached->node;
	}
	n_frames = look_up(p, space, c, &s.until);
	n_user = n_frames - c->n_kernel;
	if (c->n_user && n_user <= 2 && !c->whole)
		s.flags |= STACKS_SHALLOW;
	s.node = node_of(p, pid, n_frames);
	if (n_user) {
		s.leaf = p->frames[c->n_kernel];
		s.leaf_addr = p->addrs[c->n_kernel];
	}
	vote_self(p, s.leaf, s.leaf_addr, c->blocked);
	vote_calls(p, c, n_frames, known ? PROFILER_VOTE_EVERY : 1);
	if (s.until)
		*cached = s;
	*flags |= s.flags;
	return s.node;
}

static bool idle_leaf(const struct profiler *p, const struct profiler_chain *c)
{
	static const char *const idle[] = {
		"cpuidle",	"intel_idle",	       "mwait",
		"default_idle", "pv_native_safe_halt", "native_safe_halt",
		"acpi_idle",	"acpi_safe_halt",      "cpu_idle",
		"poll_idle",	"arch_cpu_idle",       "do_idle"};
	const char *module, *name;

	name = p->kernel && c->n_kernel ? kernel_name(p->kernel, p->ips[0], &module) : NULL;
	for (size_t i = 0; name && i < sizeof(idle) / sizeof(*idle); i++)
		if (strncmp(name, idle[i], strlen(idle[i])) == 0)
			return true;
	return false;
}

static uint32_t task_of(struct profiler *p, uint32_t pid, uint32_t tid, int64_t at_us)
{
	struct task *t = pid == NOBODY ? NULL : tasks_get(p->tasks, pid, tid);

	return t ? tasks_index(p->tasks, t, p->stacks, p->epoch, at_us) : 0;
}

void profiler_add_tick(struct profiler *p, const struct record *r, const struct profiler_id *id)
{
	struct record_format format = {.callchain = true,
				       .regs_user = id->dump,
				       .stack_user = id->dump,
				       .n_regs = (uint8_t)__builtin_popcountll(unwind_regs_mask())};
	struct stacks_sample sample = {.at_us = (int64_t)(r->time_ns / 1000),
				       .weight_us = 1000000 / id->hz,
				       .cpu = (uint16_t)r->cpu,
				       .kind = STACKS_CPU};
	struct record_sample s;
	struct profiler_chain c;

	if (record_read_sample(r, &format, &s) < 0)
		return;
	c = profiler_chain_split(p, s.ips, s.n_ips);
	if (s.regs && s.stack_len && r->pid != NOBODY)
		unwind(p, r->pid, &s, &c);
	sample.node = profiler_chain_node(p, r->pid, &c, &sample.flags);
	p->state.shallow += sample.flags & STACKS_SHALLOW ? 1 : 0;
	p->state.truncated += sample.flags & STACKS_TRUNCATED ? 1 : 0;
	if (r->pid == 0 && idle_leaf(p, &c))
		sample.flags |= STACKS_IDLE;
	sample.task = task_of(p, r->pid, r->tid, sample.at_us);
	stacks_add(p->stacks, &sample);
	p->state.samples++;
}
