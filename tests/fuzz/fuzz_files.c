#include "collector.h"

FUZZ_COLLECTOR(files, {ROOT_PROC, "sys/fs/file-nr"}, {ROOT_PROC, "sys/fs/inode-nr"});
