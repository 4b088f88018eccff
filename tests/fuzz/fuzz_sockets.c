#include "collector.h"

FUZZ_COLLECTOR(sockets, {ROOT_PROC, "net/sockstat"}, {ROOT_PROC, "net/sockstat6"});
