/* What the command line gives to strobe run, and the URL by which the verbs find it. First byte:
 * which. */
#include "fuzz.h"

#include "cmd/options.h"
#include "serve/client.h"

enum { SIZE, NUMBER, PERCENT, COLLECTORS, PERIODS, URL, N_KINDS };

static void fuzz_seeds(void)
{
	static const char *const seeds[N_KINDS] = {
		[SIZE] = "64MiB",
		[NUMBER] = "99",
		[PERCENT] = "0.5",
		[COLLECTORS] = "-process,cpu",
		[PERIODS] = "cpu=500,disk=1000",
		[URL] = "http://127.0.0.1:9820/#token=0123456789abcdef",
	};

	for (int i = 0; i < N_KINDS; i++) {
		char text[128], name[8];
		int len = snprintf(text, sizeof(text), "%c%s", i, seeds[i]);

		snprintf(name, sizeof(name), "%d", i);
		fuzz_seed(name, text, (size_t)len);
	}
}

static int parse(unsigned which, const char *text, char *err)
{
	static bool off[256];
	static uint32_t period_ms[256];
	struct client client;
	uint64_t bytes;
	uint32_t n = 0;
	int r;

	FUZZ_CHECK(n_collectors <= 256);
	memset(period_ms, 0, sizeof(period_ms));
	switch (which) {
	case SIZE:
		return option_size(text, &bytes, err, OPTIONS_ERROR_MAX);
	case NUMBER:
		r = option_number("--rate", text, 1, 100, &n, err, OPTIONS_ERROR_MAX);
		FUZZ_CHECK(r || (n >= 1 && n <= 100));
		return r;
	case PERCENT:
		return option_percent(text, &n, err, OPTIONS_ERROR_MAX);
	case COLLECTORS:
		return option_collectors(text, off, err, OPTIONS_ERROR_MAX);
	case PERIODS:
		r = option_periods(text, period_ms, err, OPTIONS_ERROR_MAX);
		for (size_t i = 0; i < n_collectors && !r; i++)
			FUZZ_CHECK(!period_ms[i] ||
				   (period_ms[i] >= 10 && period_ms[i] <= 3600000));
		return r;
	default:
		return client_find(text, &client, err, OPTIONS_ERROR_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char err[OPTIONS_ERROR_MAX] = "", *text;

	if (!size)
		return 0;
	text = malloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	if (parse(data[0] % N_KINDS, text, err))
		FUZZ_CHECK(err[0] && memchr(err, 0, sizeof(err)));
	free(text);
	return 0;
}
