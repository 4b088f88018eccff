/* Chrome's cpuprofiles: new, old, in chunks of a trace. */
#include "import.h"

static void fuzz_seeds(void)
{
	import_seed("node.cpuprofile");
	import_seed("old.cpuprofile");
	import_seed("trace.json");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return import_fuzz(data, size, IMPORT_CPUPROFILE);
}
