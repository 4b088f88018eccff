#include "collector.h"

FUZZ_COLLECTOR(pressure, {ROOT_PROC, "pressure/cpu"}, {ROOT_PROC, "pressure/memory"},
	       {ROOT_PROC, "pressure/io"}, {ROOT_PROC, "pressure/irq"});
