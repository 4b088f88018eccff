#!/bin/sh
# plant.sh NAME: prints product code with one check taken out, as the fuzzer NAME has to notice.
# selftest.sh FOLDER NAME... runs those fuzzers.
set -eu
case ${1:-} in
softnet) # a CPU's number from the file is an index
	file=collectors/softnet.c fault='s/cpu < CPUS_MAX && !s->cpu/!s->cpu/' ;;
interrupts) # more CPUs appear than were there when it was opened
	file=collectors/interrupts/table.c fault='s/if (t->n_cpus == t->cap_cpus)/if (0)/' ;;
frame) # a string longer than what is left of its frame
	file=agent/store/frame_read.c fault='s/ || len > (uint64_t)(end - q))/)/' ;;
column) # packed bits longer than their payload
	file=agent/store/column_read.c fault='s/if ((size_t)(end - p) < len)$/if (0)/' ;;
block) # an item longer than its page, in a block whose checksums are right
	file=agent/store/block_values.c fault='s/&len) || len > (size_t)(end - \*p))/\&len))/' ;;
*)
	echo "usage: plant.sh softnet|interrupts|frame|column|block" >&2
	exit 2 ;;
esac
sed "$fault" "$file" | if cmp -s - "$file"; then
	echo "plant.sh: $file has no such line any more: $fault" >&2
	exit 1
fi
sed "$fault" "$file"
