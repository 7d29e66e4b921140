/* A process that counts SIGHUP: one byte in a file for each delivery.
 *
 * counter [-a] [-w MILLISECONDS] catch|plain|ignore|block LOG [VICTIM]
 *
 * catch has a handler, plain the default, ignore ignores it, block reads it from a signalfd.
 * -a leaves its parent, because descendants are never told, and ends when its input does.
 * -w waits before it takes the signal, as a program that starts slowly.
 * The first delivery that finds a process id in the file VICTIM kills that process. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
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

/* Takes the signal as `mode` says; a descriptor to read it from, or -1. */
static int take(const char *mode) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t hup;
    if (!strcmp(mode, "catch")) action.sa_handler = count;
    if (!strcmp(mode, "ignore")) action.sa_handler = SIG_IGN;
    /* Whoever started us may have ignored it, and that is inherited. */
    sigaction(SIGHUP, &action, 0);
    if (strcmp(mode, "block")) return -1;
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    sigprocmask(SIG_BLOCK, &hup, 0);
    return signalfd(-1, &hup, SFD_CLOEXEC);
}

int main(int argc, char **argv) {
    int apart = argc > 1 && !strcmp(argv[1], "-a");
    argc -= apart;
    argv += apart;
    if (argc > 2 && !strcmp(argv[1], "-w")) {
        poll(0, 0, atoi(argv[2]));
        argc -= 2;
        argv += 2;
    }
    if (argc < 3) return 2;
    log_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log_fd < 0) return 1;
    if (argc > 3) victim = argv[3];
    struct pollfd from[] = {{.fd = take(argv[1]), .events = POLLIN},
                            {.fd = apart ? 0 : -1, .events = POLLIN}};
    /* Everything is set up by now: when the parent has ended, the child can be told. */
    if (apart && fork() > 0) _exit(0);
    for (;;) {
        struct signalfd_siginfo info;
        char byte;
        if (poll(from, 2, -1) < 0) continue;
        if (from[0].revents && read(from[0].fd, &info, sizeof info) > 0) count(SIGHUP);
        if (from[1].revents && read(0, &byte, 1) < 1) return 0;
    }
}
