/*
 * A small coverage-guided fuzzer for machines without clang: gcc calls __sanitizer_cov_trace_pc()
 * at every block, inputs that reach a new block, or one more often than before, are kept and
 * mutated. Understands the few options of libFuzzer that run-native.ts uses, and prints its final
 * figures in the same words.
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAP_SIZE 65536u
#define CORPUS_MAX 4096
#define INPUT_MAX 65536
#define WORDS_MAX 256
#define INPUT_SECONDS_MAX 5

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
#ifndef REPLAY_ONLY
void __sanitizer_set_death_callback(void (*callback)(void));
#endif

static uint8_t now[MAP_SIZE], ever[MAP_SIZE];
static struct input {
	uint8_t *bytes;
	size_t size;
} corpus[CORPUS_MAX], words[WORDS_MAX];
static unsigned corpus_count, word_count;
static uint8_t input[INPUT_MAX];
static size_t input_size, size_max = 4096;
static const char *artifact_prefix = "";
static uint64_t seed = 88172645463325252u, executions;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	uintptr_t pc = (uintptr_t)__builtin_return_address(0);
	uint8_t *count = &now[(pc ^ pc >> 16) % MAP_SIZE];

	*count = (uint8_t)(*count + (*count < 255));
}

static uint32_t below(size_t limit)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return limit ? (uint32_t)((seed >> 16) % limit) : 0;
}

static void save_input(void)
{
	char path[4200];
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < input_size; i++)
		hash = (hash ^ input[i]) * 1099511628211u;
	snprintf(path, sizeof(path), "%scrash-%016llx", artifact_prefix, (unsigned long long)hash);
	FILE *file = fopen(path, "wb");

	if (!file)
		return;
	fwrite(input, 1, input_size, file);
	fclose(file);
	fprintf(stderr, "\nTest unit written to %s\n", path);
}

static void on_signal(int number)
{
	fprintf(stderr, "%s\n", number == SIGALRM ? "timeout: one input takes too long" : "deadly signal");
	save_input();
	_exit(77);
}

/* 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128+ times: one bit each. */
static uint8_t bucket(uint8_t count)
{
	static const uint8_t ends[] = { 1, 2, 3, 7, 15, 31, 127, 255 };
	unsigned bit = 0;

	while (ends[bit] < count)
		bit++;
	return (uint8_t)(1u << bit);
}

/* True when the input reached something new. */
static int run_input(void)
{
	int news = 0;

	memset(now, 0, sizeof(now));
	alarm(INPUT_SECONDS_MAX);
	LLVMFuzzerTestOneInput(input, input_size);
	executions++;
	for (size_t i = 0; i < MAP_SIZE; i += 8) {
		uint64_t eight;

		memcpy(&eight, now + i, 8);
		for (size_t j = i; eight && j < i + 8; j++) {
			uint8_t bit = now[j] ? bucket(now[j]) : 0;

			news |= bit & ~ever[j];
			ever[j] |= bit;
		}
	}
	return news;
}

static void keep(struct input *list, unsigned *count, unsigned max)
{
	if (*count == max)
		return;
	uint8_t *bytes = malloc(input_size + 1);

	memcpy(bytes, input, input_size);
	list[(*count)++] = (struct input){ bytes, input_size };
}

static void load(const char *path)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		return;
	input_size = fread(input, 1, size_max, file);
	fclose(file);
}

/* Puts `piece` at `at` in place of `gone` bytes. */
static void splice(size_t at, size_t gone, const uint8_t *piece, size_t size)
{
	if (input_size - gone + size > size_max)
		return;
	memmove(input + at + size, input + at + gone, input_size - at - gone);
	memcpy(input + at, piece, size);
	input_size += size - gone;
}

static void mutate(void)
{
	static const uint8_t special[] = { 0, 1, ' ', '\n', '-', '.', '0', '9', ',', ':', 127, 128, 255 };
	uint8_t piece[64];
	size_t at = below(input_size + 1), some = below(17);
	size_t gone = some < input_size - at ? some : input_size - at;
	const struct input *other = &corpus[below(corpus_count)], *word = &words[below(word_count)];
	size_t from = below(other->size + 1), left = other->size - from, take = below(130);

	switch (below(9)) {
	case 0:
		if (at < input_size)
			input[at] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		if (at < input_size)
			input[at] = (uint8_t)below(256);
		break;
	case 2:
		if (at < input_size)
			input[at] = special[below(sizeof(special))];
		break;
	case 3:
		splice(at, gone, piece, 0);
		break;
	case 4:
		memcpy(piece, input + at, gone);
		splice(at, 0, piece, gone);
		break;
	case 5:
	case 6:
		if (word_count)
			splice(at, below(2) ? gone : 0, word->bytes, word->size);
		break;
	case 7:
		splice(at, below(2) ? gone : 0, other->bytes + from, take < left ? take : left);
		break;
	default:
		memset(piece, special[below(sizeof(special))], sizeof(piece));
		splice(at, 0, piece, 1 + below(below(8) ? 4 : sizeof(piece)));
	}
}

static void each_file(const char *directory, void (*act)(void))
{
	DIR *open = opendir(directory);
	char path[4300];

	if (!open) {
		load(directory);
		act();
		return;
	}
	for (struct dirent *entry; (entry = readdir(open));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		load(path);
		act();
	}
	closedir(open);
}

static void run_seed(void)
{
	if (run_input() || corpus_count == 0)
		keep(corpus, &corpus_count, CORPUS_MAX);
}

#ifdef REPLAY_ONLY
/*
 * For coverage by gcov: each input in a process of its own, for its counters are among the
 * variables that are put back.
 */
static void run_apart(void)
{
	pid_t child = fork();

	if (child == 0) {
		LLVMFuzzerTestOneInput(input, input_size);
		exit(0);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
	executions++;
}
#endif

/* libFuzzer's dictionaries: a word in quotes a line. */
static void read_words(const char *path)
{
	char line[1100];
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file)) {
		char *from = strchr(line, '"'), *to = strrchr(line, '"');

		if (!from || to == from)
			continue;
		input_size = 0;
		for (char *c = from + 1; c < to; c++) {
			unsigned byte = (uint8_t)*c;

			if (*c == '\\' && c[1] == 'x' && sscanf(c + 2, "%2x", &byte) == 1)
				c += 3;
			else if (*c == '\\')
				byte = (uint8_t)*++c;
			input[input_size++] = (uint8_t)byte;
		}
		keep(words, &word_count, WORDS_MAX);
	}
	if (file)
		fclose(file);
}

static void write_corpus(const char *directory)
{
	char path[4300];

	for (unsigned i = 0; i < corpus_count; i++) {
		snprintf(path, sizeof(path), "%s/kept-%04u", directory, i);
		FILE *file = fopen(path, "wb");

		if (!file)
			return;
		fwrite(corpus[i].bytes, 1, corpus[i].size, file);
		fclose(file);
	}
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	long seconds = 10, runs = -1, told = 0;
	struct timespec start, at;

	for (int i = 1; i < argc; i++) {
		if (sscanf(argv[i], "-max_total_time=%ld", &seconds) == 1 || sscanf(argv[i], "-runs=%ld", &runs) == 1 ||
		    sscanf(argv[i], "-max_len=%zu", &size_max) == 1)
			continue;
		if (strncmp(argv[i], "-seed=", 6) == 0)
			seed ^= strtoull(argv[i] + 6, NULL, 10) * 0x9e3779b97f4a7c15u;
		else if (strncmp(argv[i], "-artifact_prefix=", 17) == 0)
			artifact_prefix = argv[i] + 17;
		else if (strncmp(argv[i], "-dict=", 6) == 0)
			read_words(argv[i] + 6);
		else if (argv[i][0] != '-' && !directory)
			directory = argv[i];
	}
	if (!directory) {
		fputs("usage: TARGET [-max_total_time=S] [-runs=0] [-seed=N] [-dict=FILE] CORPUS-OR-FILE\n", stderr);
		return 64;
	}
#ifdef REPLAY_ONLY
	each_file(directory, run_apart);
	printf("%llu inputs\n", (unsigned long long)executions);
	return 0;
#else
	__sanitizer_set_death_callback(save_input);
	signal(SIGABRT, on_signal);
	signal(SIGALRM, on_signal);
	each_file(directory, run_seed);
	clock_gettime(CLOCK_MONOTONIC, &start);
	at = start;
	while (runs != 0 && corpus_count > 0 && at.tv_sec - start.tv_sec < seconds) {
		const struct input *from = &corpus[below(corpus_count)];

		input_size = from->size;
		memcpy(input, from->bytes, from->size);
		for (unsigned steps = 1 + below(6); steps > 0; steps--)
			mutate();
		if (run_input())
			keep(corpus, &corpus_count, CORPUS_MAX);
		if (executions % 64 != 0)
			continue;
		clock_gettime(CLOCK_MONOTONIC, &at);
		if (at.tv_sec != told)
			fprintf(stderr, "#%llu corp: %u\n", (unsigned long long)executions, corpus_count);
		told = at.tv_sec;
	}
	if (runs != 0)
		write_corpus(directory);
	printf("stat::number_of_executed_units: %llu\n", (unsigned long long)executions);
	return 0;
#endif
}
