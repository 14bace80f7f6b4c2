/* Asks the C library for the addresses of a name, as any program does: `ask NAME any|inet|inet6`.
 *
 * Prints "ok ADDRESS...", each address once, or the name of getaddrinfo's error, and how long it took in milliseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* The name of an error. */
static const char *error_name(int code)
{
	switch (code) {
	case EAI_AGAIN: return "EAI_AGAIN";
	case EAI_FAIL: return "EAI_FAIL";
	case EAI_NONAME: return "EAI_NONAME";
	case EAI_SYSTEM: return "EAI_SYSTEM";
#ifdef EAI_NODATA
	case EAI_NODATA: return "EAI_NODATA";
#endif
	default: return gai_strerror(code);
	}
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: ask NAME any|inet|inet6\n", stderr);
		return 2;
	}
	/* One entry an address; no AI_ADDRCONFIG, so that both families are asked for on any machine. */
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	if (!strcmp(argv[2], "inet"))
		hints.ai_family = AF_INET;
	else if (!strcmp(argv[2], "inet6"))
		hints.ai_family = AF_INET6;

	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	int code = getaddrinfo(argv[1], NULL, &hints, &found);
	clock_gettime(CLOCK_MONOTONIC, &end);

	fputs(code ? error_name(code) : "ok", stdout);
	for (struct addrinfo *one = found; one; one = one->ai_next) {
		char text[INET6_ADDRSTRLEN] = "";
		const void *address = one->ai_family == AF_INET
			? (void *)&((struct sockaddr_in *)one->ai_addr)->sin_addr
			: (void *)&((struct sockaddr_in6 *)one->ai_addr)->sin6_addr;
		inet_ntop(one->ai_family, address, text, sizeof text);
		printf(" %s", text);
	}
	long took = (end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000;
	printf("\n%ld\n", took);
	if (found)
		freeaddrinfo(found);
	return 0;
}
