/*
 * Signs and verifies with libopendkim, for the interoperation suite.
 *
 *   opendkim version
 *   opendkim sign --domain D --selector S --key K --canon h/b --algorithm A
 *                 [--headers a:b:c] [--oversign a:b] [--in FILE] [--out FILE]
 *   opendkim verify --records zone.json [--in FILE] [--out FILE]
 *   opendkim batch JOBS
 *
 * The message has CRLF line ends. A batch is one job a line, its arguments
 * separated by tabs; each runs in a process of its own, so that a crash of the
 * library costs one job. A job that cannot be done leaves no --out but a file
 * of that name and `.err`. ../README.md has the rules that all peers share.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dkim.h>

#define MAX_ARGS 64
#define MAX_NAMES 512
#define MAX_RECORDS 256

struct job {
	const char *verb, *domain, *selector, *key, *canon, *algorithm;
	const char *headers, *oversign, *records, *in, *out;
};

struct record {
	char *name, *text;
};

/* The key lookup callback has no room for a closure of ours. */
static struct record zone[MAX_RECORDS];
static size_t zone_size;

/* Where the running job writes, for die(). */
static const char *current_out;

static int run_batch(const char *path);
static int run_job(int argc, char **argv);
static int sign(DKIM_LIB *lib, const struct job *job, char *msg, size_t len);
static int verify(DKIM_LIB *lib, const struct job *job, char *msg, size_t len);
static void feed(DKIM *dkim, char *msg, size_t len);
static void report(FILE *out, DKIM_SIGINFO *sig);
static DKIM_CBSTAT lookup(DKIM *dkim, DKIM_SIGINFO *sig, u_char *buf, size_t len);
static void read_zone(const char *path);
static const char **split_names(const char *list);
static char *read_whole(const char *path, size_t *len);
static FILE *open_out(const char *path);
static int die(int status, const char *format, ...);

enum { DONE = 0, REFUSED = 1, USAGE = 2, UNSUPPORTED = 3 };

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "version") == 0) {
		uint32_t v = dkim_libversion();
		printf("%u.%u.%u\n", v >> 24, v >> 16 & 0xff, v >> 8 & 0xff);
		return DONE;
	}
	if (argc == 3 && strcmp(argv[1], "batch") == 0)
		return run_batch(argv[2]);
	return run_job(argc - 1, argv + 1);
}

static int
run_batch(const char *path)
{
	size_t len;
	char *line = read_whole(path, &len);

	while (*line != '\0') {
		char *next = line + strcspn(line, "\n");
		if (*next != '\0')
			*next++ = '\0';

		char *argv[MAX_ARGS];
		int argc = 0;
		for (char *arg = line; arg != NULL && argc < MAX_ARGS;)
			argv[argc++] = strsep(&arg, "\t");

		fflush(NULL);
		pid_t child = fork();
		if (child == -1)
			die(USAGE, "cannot fork");
		if (child == 0)
			exit(run_job(argc, argv));
		int status;
		waitpid(child, &status, 0);
		if (WIFSIGNALED(status))
			fprintf(stderr, "job ended by signal %d\n", WTERMSIG(status));
		line = next;
	}
	return DONE;
}

static int
run_job(int argc, char **argv)
{
	struct job job = { 0 };
	const struct { const char *option; const char **value; } options[] = {
		{ "--domain", &job.domain }, { "--selector", &job.selector },
		{ "--key", &job.key }, { "--canon", &job.canon },
		{ "--algorithm", &job.algorithm }, { "--headers", &job.headers },
		{ "--oversign", &job.oversign }, { "--records", &job.records },
		{ "--in", &job.in }, { "--out", &job.out },
	};

	if (argc < 1)
		die(USAGE, "a verb is needed: sign, verify, batch or version");
	job.verb = argv[0];
	for (int i = 1; i + 1 < argc; i += 2) {
		size_t n = 0;
		while (n < sizeof options / sizeof *options && strcmp(argv[i], options[n].option) != 0)
			n++;
		if (n == sizeof options / sizeof *options)
			die(USAGE, "unknown option %s", argv[i]);
		*options[n].value = argv[i + 1];
	}

	current_out = job.out;
	DKIM_LIB *lib = dkim_init(NULL, NULL);
	if (lib == NULL)
		die(REFUSED, "dkim_init failed");
	size_t len;
	char *msg = read_whole(job.in, &len);
	if (strcmp(job.verb, "sign") == 0)
		return sign(lib, &job, msg, len);
	if (strcmp(job.verb, "verify") == 0)
		return verify(lib, &job, msg, len);
	return die(USAGE, "unknown verb %s", job.verb);
}

static int
sign(DKIM_LIB *lib, const struct job *job, char *msg, size_t len)
{
	if (!job->domain || !job->selector || !job->key || !job->canon || !job->algorithm)
		die(USAGE, "sign needs --domain, --selector, --key, --canon and --algorithm");

	dkim_alg_t algorithm = DKIM_SIGN_RSASHA256;
	if (strcmp(job->algorithm, "ed25519-sha256") == 0) {
		if (!dkim_libfeature(lib, DKIM_FEATURE_ED25519))
			die(UNSUPPORTED, "this libopendkim has no ed25519-sha256");
		algorithm = DKIM_SIGN_ED25519SHA256;
	}
	const char *slash = strchr(job->canon, '/');
	dkim_canon_t header = job->canon[0] == 'r' ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE;
	dkim_canon_t body = slash && slash[1] == 'r' ? DKIM_CANON_RELAXED : DKIM_CANON_SIMPLE;

	if (job->headers)
		dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_SIGNHDRS, split_names(job->headers), sizeof(char **));
	else
		dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_SIGNHDRS, dkim_should_signhdrs, sizeof(u_char **));
	if (job->oversign)
		dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_OVERSIGNHDRS, split_names(job->oversign), sizeof(char **));

	size_t key_len;
	char *key = read_whole(job->key, &key_len);
	DKIM_STAT status;
	DKIM *dkim = dkim_sign(lib, (u_char *) "interop", NULL, (dkim_sigkey_t) key,
	    (const u_char *) job->selector, (const u_char *) job->domain, header, body, algorithm, -1, &status);
	if (dkim == NULL)
		die(REFUSED, "dkim_sign: %s", dkim_getresultstr(status));
	feed(dkim, msg, len);
	status = dkim_eom(dkim, NULL);
	if (status != DKIM_STAT_OK)
		die(REFUSED, "dkim_eom: %s: %s", dkim_getresultstr(status), dkim_geterror(dkim));
	u_char *field;
	size_t field_len;
	status = dkim_getsighdr_d(dkim, strlen(DKIM_SIGNHEADER) + 2, &field, &field_len);
	if (status != DKIM_STAT_OK)
		die(REFUSED, "dkim_getsighdr_d: %s", dkim_getresultstr(status));

	FILE *out = open_out(job->out);
	fprintf(out, "%s: %s\r\n", DKIM_SIGNHEADER, (char *) field);
	fwrite(msg, 1, len, out);
	return fclose(out) == 0 ? DONE : die(REFUSED, "cannot write %s", job->out);
}

static int
verify(DKIM_LIB *lib, const struct job *job, char *msg, size_t len)
{
	if (!job->records)
		die(USAGE, "verify needs --records");
	read_zone(job->records);
	dkim_set_key_lookup(lib, lookup);

	/* A signature with a fault of syntax gets a verdict too, not only the end of the run. */
	u_int flags = 0;
	dkim_options(lib, DKIM_OP_GETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);
	flags |= DKIM_LIBFLAGS_BADSIGHANDLES;
	dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);

	DKIM_STAT status;
	DKIM *dkim = dkim_verify(lib, (u_char *) "interop", NULL, &status);
	if (dkim == NULL)
		die(REFUSED, "dkim_verify: %s", dkim_getresultstr(status));
	feed(dkim, msg, len);
	dkim_eom(dkim, NULL);

	DKIM_SIGINFO **sigs;
	int count;
	FILE *out = open_out(job->out);
	if (dkim_getsiglist(dkim, &sigs, &count) == DKIM_STAT_OK)
		for (int i = 0; i < count; i++)
			report(out, sigs[i]);
	return fclose(out) == 0 ? DONE : die(REFUSED, "cannot write %s", job->out);
}

/* Header fields one by one and then the body: the way of a milter. */
static void
feed(DKIM *dkim, char *msg, size_t len)
{
	char *at = msg, *end = msg + len;
	DKIM_STAT status;

	while (at < end && !(end - at >= 2 && at[0] == '\r' && at[1] == '\n')) {
		char *stop = at;
		while (stop < end && !(end - stop >= 2 && stop[0] == '\r' && stop[1] == '\n' &&
		    !(end - stop >= 3 && (stop[2] == ' ' || stop[2] == '\t'))))
			stop++;
		status = dkim_header(dkim, (u_char *) at, stop - at);
		if (status != DKIM_STAT_OK)
			die(REFUSED, "dkim_header: %s", dkim_getresultstr(status));
		at = end - stop >= 2 ? stop + 2 : end;
	}
	status = dkim_eoh(dkim);
	if (status != DKIM_STAT_OK && dkim_getmode(dkim) == DKIM_MODE_SIGN)
		die(REFUSED, "dkim_eoh: %s: %s", dkim_getresultstr(status), dkim_geterror(dkim));
	if (end - at > 2 && (status = dkim_body(dkim, (u_char *) at + 2, end - at - 2)) != DKIM_STAT_OK)
		die(REFUSED, "dkim_body: %s", dkim_getresultstr(status));
}

static void
report(FILE *out, DKIM_SIGINFO *sig)
{
	if (DKIM_SIG_CHECK(sig) && dkim_sig_geterror(sig) == DKIM_SIGERROR_OK)
		fprintf(out, "pass\n");
	else if (dkim_sig_getbh(sig) == DKIM_SIGBH_MISMATCH)
		fprintf(out, "fail body hash mismatch\n");
	else
		fprintf(out, "fail %s\n", dkim_sig_geterrorstr(dkim_sig_geterror(sig)));
}

static DKIM_CBSTAT
lookup(DKIM *dkim, DKIM_SIGINFO *sig, u_char *buf, size_t len)
{
	char name[DKIM_MAXHOSTNAMELEN * 2 + 16];
	(void) dkim;

	snprintf(name, sizeof name, "%s.%s.%s.", dkim_sig_getselector(sig), DKIM_DNSKEYNAME, dkim_sig_getdomain(sig));
	for (size_t i = 0; i < zone_size; i++)
		if (strcasecmp(zone[i].name, name) == 0) {
			if (strlen(zone[i].text) >= len)
				return DKIM_CBSTAT_ERROR;
			memcpy(buf, zone[i].text, strlen(zone[i].text) + 1);
			return DKIM_CBSTAT_CONTINUE;
		}
	return DKIM_CBSTAT_NOTFOUND;
}

/*
 * Reads {"name.": {"TXT": ["text"]}, ...}: a string at depth 1 is a name and the
 * first string within brackets is its record; anything else is passed over.
 */
static void
read_zone(const char *path)
{
	size_t len;
	int depth = 0;
	bool listed = false;

	zone_size = 0;
	for (char *at = read_whole(path, &len); *at != '\0'; at++) {
		if (*at == '{')
			depth++;
		else if (*at == '}')
			depth--;
		else if (*at == '[' || *at == ']')
			listed = *at == '[';
		if (*at != '"')
			continue;
		char *text = ++at, *to = text;
		for (; *at != '"' && *at != '\0'; at++) {
			if (*at == '\\' && at[1] != '\0')
				at++;
			*to++ = *at;
		}
		if (*at == '\0')
			die(USAGE, "%s: a string has no end", path);
		*to = '\0';
		if (depth == 1) {
			if (zone_size == MAX_RECORDS)
				die(USAGE, "%s: more than %d records", path, MAX_RECORDS);
			zone[zone_size++] = (struct record) { text, NULL };
		} else if (listed && zone_size > 0 && zone[zone_size - 1].text == NULL)
			zone[zone_size - 1].text = text;
	}
	for (size_t i = 0; i < zone_size; i++)
		if (zone[i].text == NULL)
			zone[i].text = "";
}

static const char **
split_names(const char *list)
{
	const char **names = calloc(MAX_NAMES, sizeof *names);
	char *rest = strdup(list);

	for (size_t i = 0; rest != NULL && i + 1 < MAX_NAMES; i++)
		names[i] = strsep(&rest, ":");
	return names;
}

/* The bytes of a file, or of standard input, with a NUL after them. */
static char *
read_whole(const char *path, size_t *len)
{
	FILE *in = path ? fopen(path, "rb") : stdin;
	if (in == NULL)
		die(USAGE, "cannot open %s", path);
	size_t room = 1 << 16, got;
	char *buf = malloc(room);
	for (*len = 0; (got = fread(buf + *len, 1, room - *len - 1, in)) > 0;)
		if ((*len += got) + 1 == room)
			buf = realloc(buf, room *= 2);
	buf[*len] = '\0';
	if (path)
		fclose(in);
	return buf;
}

static FILE *
open_out(const char *path)
{
	FILE *out = path ? fopen(path, "wb") : stdout;
	if (out == NULL)
		die(USAGE, "cannot write %s", path);
	return out;
}

static int
die(int status, const char *format, ...)
{
	char path[4096], reason[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof reason, format, args);
	va_end(args);
	snprintf(path, sizeof path, "%s.err", current_out ? current_out : "");
	FILE *err = current_out ? fopen(path, "w") : NULL;
	fprintf(err ? err : stderr, "%s %s\n", status == UNSUPPORTED ? "unsupported" : "refused", reason);
	exit(status);
}
