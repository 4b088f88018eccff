/* Folded stacks. */
#include "import.h"

static void fuzz_seeds(void)
{
	static const char lines[] = "\2main;a;b 10\nmain;tcp_v4_rcv_[k] 1\r\n# x\n\nmain;f g 2.5\n"
				    "a;b 10 20\na;c 99999999999999\n;;; 1\nlone 3";

	fuzz_seed("lines", lines, sizeof(lines) - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return import_fuzz(data, size, IMPORT_FOLDED);
}
