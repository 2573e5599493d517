/* libopendkim as a peer; see README.md. */

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <dkim.h>

struct message {
	char *text;
	size_t len;
};

static struct message messages[1024];
static size_t count;
static char record[4096];
static char *key;

static char *
read_whole(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL) {
		perror(path);
		exit(2);
	}
	fseek(file, 0, SEEK_END);
	*len = (size_t) ftell(file);
	rewind(file);
	char *text = calloc(1, *len + 1);
	if (fread(text, 1, *len, file) != *len)
		exit(2);
	fclose(file);
	return text;
}

static DKIM_CBSTAT
lookup(DKIM *dkim, DKIM_SIGINFO *sig, u_char *buffer, size_t len)
{
	(void) dkim;
	(void) sig;
	snprintf((char *) buffer, len, "%s", record);
	return DKIM_CBSTAT_CONTINUE;
}

static void
once(DKIM_LIB *lib, bool signing, const struct message *message)
{
	DKIM_STAT status;
	DKIM *dkim = signing
	    ? dkim_sign(lib, (u_char *) "x", NULL, (dkim_sigkey_t) key, (u_char *) "rsa2048", (u_char *) "test.example",
	          DKIM_CANON_RELAXED, DKIM_CANON_RELAXED, DKIM_SIGN_RSASHA256, -1, &status)
	    : dkim_verify(lib, (u_char *) "x", NULL, &status);
	if (dkim == NULL || dkim_chunk(dkim, (u_char *) message->text, message->len) != DKIM_STAT_OK ||
	    dkim_chunk(dkim, NULL, 0) != DKIM_STAT_OK || dkim_eom(dkim, NULL) != DKIM_STAT_OK) {
		fprintf(stderr, "a message fails\n");
		exit(1);
	}
	if (signing) {
		u_char *field;
		size_t len;
		dkim_getsighdr_d(dkim, 16, &field, &len);
	}
	dkim_free(dkim);
}

int
main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	bool signing = strcmp(argv[1], "sign") == 0;
	char path[4096];
	struct dirent **names;
	int entries = scandir(argv[2], &names, NULL, alphasort);
	for (int i = 0; i < entries && count < 1024; i++) {
		if (names[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", argv[2], names[i]->d_name);
		messages[count].text = read_whole(path, &messages[count].len);
		count++;
	}
	size_t len;
	snprintf(path, sizeof path, "%s/rsa2048.pem", argv[3]);
	key = read_whole(path, &len);
	snprintf(path, sizeof path, "%s/rsa2048.txt", argv[3]);
	char *zone = read_whole(path, &len);
	bool quoted = false;
	for (char *p = zone, *out = record; *p != '\0'; p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (quoted)
			*out++ = *p;
	}
	DKIM_LIB *lib = dkim_init(NULL, NULL);
	dkim_set_key_lookup(lib, lookup);
	dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_SIGNHDRS, dkim_should_signhdrs, sizeof(u_char **));
	for (size_t i = 0; i < count; i++)
		once(lib, signing, &messages[i]);
	char line[16];
	while (fgets(line, sizeof line, stdin) != NULL) {
		struct timespec begin, end;
		clock_gettime(CLOCK_MONOTONIC, &begin);
		for (size_t i = 0; i < count; i++)
			once(lib, signing, &messages[i]);
		clock_gettime(CLOCK_MONOTONIC, &end);
		double seconds = (double) (end.tv_sec - begin.tv_sec) + (double) (end.tv_nsec - begin.tv_nsec) / 1e9;
		printf("%f\n", seconds * 1e6 / (double) count);
		fflush(stdout);
	}
	return 0;
}
