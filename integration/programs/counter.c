/* A process that counts SIGHUP: one byte in a file for each delivery.
 * counter LOG [PID]   kills PID with SIGKILL from inside the first handler call, if given. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int log_fd;
static volatile pid_t victim;

static void on_hup(int signal) {
    (void)signal;
    if (write(log_fd, "h", 1) != 1) _exit(1);
    if (victim > 0) {
        kill(victim, SIGKILL);
        victim = 0;
    }
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    log_fd = open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (log_fd < 0) return 1;
    if (argc > 2) victim = atoi(argv[2]);
    struct sigaction action = {.sa_handler = on_hup};
    sigaction(SIGHUP, &action, 0);
    for (;;) pause();
}
