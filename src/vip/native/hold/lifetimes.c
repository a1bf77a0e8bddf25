/*
 * Lifetimes: a thread, the keeper, puts addresses into the kernel and refreshes their lifetimes, so
 * that a refresh that waits behind other link changes (seen: 94 ms) never delays a renewal of the
 * lease. It adds only while the lease runs; before anything is removed, lifetimes_stop() makes sure
 * that it adds nothing afterwards.
 */
#include "hold/lifetimes.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hold/netlink.h"

#define STACK_BYTES (256 * 1024)
#define LIST_RETRY_US 50000

/* `lock` guards the fields, briefly; `kernel` is held while the keeper changes an address. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t kernel = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct terms granted;
static bool running;
static uint64_t wanted, unwanted, result_done, result_created, result_failed;
static int result_errors[VIP_MAX];
static int event_fd = -1;
static bool list_wanted, list_done;
static struct places listed[FIXED_MAX];
static struct netlink nl;

static void report(unsigned index, int error, bool created)
{
	uint64_t one = 1, bit = UINT64_C(1) << index;

	pthread_mutex_lock(&lock);
	if (error) {
		result_failed |= bit;
		result_errors[index] = error;
	} else {
		result_done |= bit;
		result_created |= created ? bit : 0;
	}
	pthread_mutex_unlock(&lock);
	if (write(event_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: the loop is being woken already */
}

/*
 * One address. The lease is looked at after `kernel` is ours: what was removed meanwhile stays
 * removed.
 */
static void ensure_next(void)
{
	bool created = false, permitted;
	unsigned index = 0;
	uint32_t valid_s = 0;
	int error = 0;

	pthread_mutex_lock(&kernel);
	pthread_mutex_lock(&lock);
	us_t now = clock_now();

	permitted = running && wanted != 0 && now < terms_end(&granted);
	if (permitted) {
		index = (unsigned)__builtin_ctzll(wanted);
		wanted &= wanted - 1;
		valid_s = terms_valid_s(&granted, now);
	} else {
		wanted = 0;
	}
	pthread_mutex_unlock(&lock);
	if (permitted) {
		error = netlink_ensure(&nl, index, valid_s, &created);
		report(index, error, created);
	}
	pthread_mutex_unlock(&kernel);
}

/*
 * One address that is not wanted any more. Should that fail, its lifetime ends it: nobody refreshes
 * that now.
 */
static void drop_next(void)
{
	pthread_mutex_lock(&kernel);
	pthread_mutex_lock(&lock);
	bool permitted = running && unwanted != 0;
	unsigned index = permitted ? (unsigned)__builtin_ctzll(unwanted) : 0;

	unwanted &= unwanted - 1;
	pthread_mutex_unlock(&lock);
	if (permitted)
		(void)netlink_remove(&nl, index);
	pthread_mutex_unlock(&kernel);
}

/* Changes nothing, so the lease does not matter. A list that failed is tried again, slowly. */
static void list_all(void)
{
	static struct places found[FIXED_MAX];
	uint64_t present, foreign, one = 1;

	pthread_mutex_lock(&lock);
	list_wanted = false; /* one that is asked for from now on is another */
	pthread_mutex_unlock(&lock);
	bool failed = netlink_find(&nl, &present, &foreign, found) != 0;

	if (failed)
		usleep(LIST_RETRY_US);
	pthread_mutex_lock(&lock);
	list_wanted = list_wanted || failed;
	list_done = !failed;
	memcpy(listed, found, sizeof(listed));
	pthread_mutex_unlock(&lock);
	if (write(event_fd, &one, sizeof(one)) < 0)
		return; /* the loop is being woken already */
}

static void *keeper(void *unused)
{
	(void)unused;
	for (;;) {
		pthread_mutex_lock(&lock);
		while (wanted == 0 && unwanted == 0 && !list_wanted)
			pthread_cond_wait(&wake, &lock);
		bool ensure = wanted != 0, drop = unwanted != 0;

		pthread_mutex_unlock(&lock);
		if (drop)
			drop_next();
		else if (ensure)
			ensure_next();
		else
			list_all();
	}
	return NULL;
}

bool lifetimes_start(void)
{
	pthread_t thread;
	pthread_attr_t attributes;

	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0 || !netlink_open(&nl))
		return false;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	errno = pthread_create(&thread, &attributes, keeper, NULL);
	return errno == 0;
}

int lifetimes_fd(void)
{
	return event_fd;
}

void lifetimes_terms(const struct terms *terms)
{
	pthread_mutex_lock(&lock);
	granted = *terms;
	running = true;
	pthread_mutex_unlock(&lock);
}

/*
 * Returns once nothing is under way; from then on the keeper adds nothing until lifetimes_terms().
 */
void lifetimes_stop(void)
{
	pthread_mutex_lock(&lock);
	running = false;
	pthread_mutex_unlock(&lock);
	pthread_mutex_lock(&kernel);
	pthread_mutex_lock(&lock);
	wanted = unwanted = result_done = result_created = result_failed = 0;
	pthread_mutex_unlock(&lock);
	pthread_mutex_unlock(&kernel);
}

void lifetimes_ensure(uint64_t mask)
{
	pthread_mutex_lock(&lock);
	wanted |= mask;
	unwanted &= ~mask;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

/* Takes addresses out of the kernel while others stay. */
void lifetimes_drop(uint64_t mask)
{
	pthread_mutex_lock(&lock);
	unwanted |= mask;
	wanted &= ~mask;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

/* Lists where the fixed addresses are; lifetimes_listed() has the answer. */
void lifetimes_list(void)
{
	pthread_mutex_lock(&lock);
	list_wanted = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

/* NULL: nothing new. */
const struct places *lifetimes_listed(void)
{
	static struct places taken[FIXED_MAX];

	pthread_mutex_lock(&lock);
	bool done = list_done;

	list_done = false;
	if (done)
		memcpy(taken, listed, sizeof(taken));
	pthread_mutex_unlock(&lock);
	return done ? taken : NULL;
}

void lifetimes_results(uint64_t *done, uint64_t *created, uint64_t *failed, int errors[VIP_MAX])
{
	uint64_t count;

	if (read(event_fd, &count, sizeof(count)) < 0)
		count = 0; /* nothing new: the masks below are empty then */
	pthread_mutex_lock(&lock);
	*done = result_done;
	*created = result_created;
	*failed = result_failed;
	memcpy(errors, result_errors, sizeof(result_errors));
	result_done = result_created = result_failed = 0;
	pthread_mutex_unlock(&lock);
}
