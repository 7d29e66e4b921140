/* A process that counts SIGHUP: one byte in a file for each delivery.
 *
 * counter [-a] [-w MILLISECONDS] LOG [VICTIM]
 *
 * -a leaves its parent, because descendants are never told, and ends when its input does.
 * -w waits before it takes the signal, as a program that starts slowly.
 * The first delivery that finds a process id in the file VICTIM kills that process. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int log_fd;
static const char *victim;

static void count(int signal) {
    int kept = errno;
    (void)signal;
    if (write(log_fd, "h", 1) != 1) _exit(1);
    int fd = victim ? open(victim, O_RDONLY) : -1;
    if (fd >= 0) {
        char text[16] = {0};
        if (read(fd, text, sizeof text - 1) > 0) {
            kill(atoi(text), SIGKILL);
            victim = 0;
        }
        close(fd);
    }
    errno = kept;
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = count};
    int apart = argc > 1 && !strcmp(argv[1], "-a");
    argc -= apart;
    argv += apart;
    if (argc > 2 && !strcmp(argv[1], "-w")) {
        poll(0, 0, atoi(argv[2]));
        argc -= 2;
        argv += 2;
    }
    if (argc < 2) return 2;
    log_fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log_fd < 0) return 1;
    if (argc > 2) victim = argv[2];
    sigaction(SIGHUP, &action, 0);
    /* Everything is set up by now: when the parent has ended, the child can be told. */
    if (apart && fork() > 0) _exit(0);
    struct pollfd from = {.fd = apart ? 0 : -1, .events = POLLIN};
    for (;;) {
        char byte;
        if (poll(&from, 1, -1) > 0 && read(0, &byte, 1) < 1) return 0;
    }
}
