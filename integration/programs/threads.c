/* A process of several threads, which counts SIGHUP: one byte in a file for each delivery.
 *
 * threads signalfd|sigwait|alone|partly|elsewhere|vfork LOG
 *
 * signalfd   every thread blocks it, one reads it from a descriptor
 * sigwait    every thread blocks it, one waits for it
 * alone      the only thread blocks it and waits for it
 * partly     one thread blocks it, the others would die of it
 * elsewhere  helpers block it; the main thread waits for SIGTERM alone and would die of SIGHUP
 * vfork      has a handler, and waits in the kernel for a child that never ends
 *
 * LOG appears once all is set up. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t hup;
static const char *path;
static int log_fd = -1;

static void count(int signal) {
    (void)signal;
    if (write(log_fd, "h", 1) != 1) _exit(1);
}

static void set_up(void) {
    log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log_fd < 0) _exit(1);
}

static void *block_and_sleep(void *unused) {
    pthread_sigmask(SIG_BLOCK, &hup, 0);
    for (;;) pause();
    return unused;
}

static void *sleep_only(void *unused) {
    for (;;) pause();
    return unused;
}

static void wait_for(const sigset_t *set) {
    int signal;
    for (;;)
        if (!sigwait(set, &signal) && signal == SIGHUP) count(signal);
}

static void *wait_for_hup(void *unused) {
    wait_for(&hup);
    return unused;
}

static void start(void *(*run)(void *)) {
    pthread_t thread;
    if (pthread_create(&thread, 0, run, 0)) _exit(1);
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    struct signalfd_siginfo info;
    sigset_t term;
    if (argc < 3) return 2;
    path = argv[2];
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    /* Whoever started us may have ignored it, and that is inherited. */
    sigaction(SIGHUP, &action, 0);
    if (!strcmp(argv[1], "vfork")) {
        action.sa_handler = count;
        sigaction(SIGHUP, &action, 0);
        set_up();
        if (vfork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) pause();
        }
    }
    if (!strcmp(argv[1], "partly")) {
        start(block_and_sleep);
        start(sleep_only);
        set_up();
        sleep_only(0);
    }
    if (!strcmp(argv[1], "elsewhere")) {
        start(block_and_sleep);
        start(block_and_sleep);
        pthread_sigmask(SIG_BLOCK, &term, 0);
        set_up();
        wait_for(&term);
    }
    pthread_sigmask(SIG_BLOCK, &hup, 0);
    if (!strcmp(argv[1], "signalfd")) {
        int fd = signalfd(-1, &hup, SFD_CLOEXEC);
        start(sleep_only);
        start(sleep_only);
        set_up();
        while (read(fd, &info, sizeof info) > 0) count(SIGHUP);
    }
    if (!strcmp(argv[1], "sigwait")) {
        start(sleep_only);
        start(wait_for_hup);
        set_up();
        sleep_only(0);
    }
    if (!strcmp(argv[1], "alone")) {
        set_up();
        wait_for(&hup);
    }
    return 2;
}
