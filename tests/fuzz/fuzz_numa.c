#include "collector.h"

FUZZ_COLLECTOR(numa, {ROOT_SYS, "devices/system/node/online"},
	       {ROOT_SYS, "devices/system/node/node0/meminfo"},
	       {ROOT_SYS, "devices/system/node/node0/numastat"},
	       {ROOT_SYS, "devices/system/node/node2/meminfo"},
	       {ROOT_SYS, "devices/system/node/node2/numastat"});
