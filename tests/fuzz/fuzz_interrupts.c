#include "collector.h"

FUZZ_COLLECTOR(interrupts, {ROOT_PROC, "interrupts"}, {ROOT_PROC, "softirqs"});
