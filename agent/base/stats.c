#include "base/stats.h"

struct stats stats;
