/* Chrome's traces: slices in pairs and whole ones, lists without an end. */
#include "import.h"

static void fuzz_seeds(void)
{
	import_seed("slices.json");
	import_seed("trace.json");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return import_fuzz(data, size, IMPORT_TRACE);
}
